"""The short-lived process that checks signatures: an Order on standard input, a Line for each package on standard output."""

import sys
from pathlib import Path

import msgspec

from edge_runtime.errors import PackageError
from edge_runtime.signatures import Line, Order, SignersError, Verdict
from edge_runtime.signing.signers import Signers, read_signers
from edge_runtime.signing.verifier import verify


def main() -> None:
    """Entry point."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        signers = read_signers(map(Path, order.signers))
    except SignersError as error:
        _tell(Line(error=str(error)))
        return
    _tell(Line())
    for folder in order.folders:
        _tell(Line(folder, _verdict(Path(folder), signers)))


def _verdict(folder: Path, signers: Signers) -> Verdict:
    try:
        approved = verify(folder, signers)
    except PackageError as error:
        return Verdict(refusal=str(error))
    except Exception as error:
        return Verdict(refusal=f"its signature can't be checked ({type(error).__name__})")
    return Verdict(approved.manifest_sha256, signer=approved.signer)


def _tell(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
