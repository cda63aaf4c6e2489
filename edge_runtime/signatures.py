"""Which model packages are signed by one whom the operator trusts, found out by a short-lived process of its own.

What signatures are checked with takes some 70 MB and most of a second to load, so neither this program nor the processes
of devices load it. The process answers with a Verdict for each package. A good one names the SHA-256 of the manifest that
was signed; whoever loads the package takes that manifest and no other (catalogue.py), so nothing can be exchanged in
between. docs/signing.md has the rest.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from edge_runtime.errors import PackageError

LIBRARIES = ("model_signing", "OpenSSL")
EXTRA = "pip install 'hedgerow[signing]' brings it"
TIMEOUT_S = 300.0
"""Hashing reads every byte of every package."""


class SignersError(ValueError):
    """Signatures can't be checked or made as asked; the message says what to change, and holds nothing of a key."""


class Verdict(msgspec.Struct, frozen=True):
    """On one package. `manifest_sha256`: of the manifest that was signed; empty where the package is refused, and then
    `refusal` says why. `signer`: who signed it, for people.
    """

    manifest_sha256: str = ""
    refusal: str = ""
    signer: str = ""


Verdicts = Mapping[str, Verdict] | None
"""On packages, by folder; None where no signature is asked for."""


class Order(msgspec.Struct, frozen=True):
    """What the process is told, as JSON on its standard input."""

    signers: list[str]
    folders: list[str]


class Line(msgspec.Struct, frozen=True):
    """What it answers on standard output, a line of JSON each: first one for the signers, then one for each folder."""

    folder: str = ""
    verdict: Verdict | None = None
    error: str = ""
    """Why no signature can be checked."""


class Signatures:
    """Checks packages against `signers`: files (PEM) of public keys and of certificates of authorities. Methods block.

    Raises SignersError where the libraries for it aren't installed.
    """

    def __init__(self, signers: Iterable[Path]) -> None:
        require_libraries()
        self._signers = list(map(str, signers))

    def check(self, folders: Iterable[Path]) -> dict[str, Verdict]:
        """A verdict by folder. One bad package stops no other. Raises SignersError for a signer's file that can't be used."""
        wanted = list(map(str, folders))
        answered = _answers(_ask(Order(self._signers, wanted)))
        lost = Verdict(refusal="the process that checks signatures ended before it came to this package")
        return {folder: answered.get(folder) or _named(Path(folder), lost) for folder in wanted}

    def require(self, folder: Path) -> None:
        """Raises PackageError, which names the package and what is wrong, unless one of the signers signed it as it is."""
        try:
            verdict = self.check([folder])[str(folder)]
        except SignersError as error:
            raise PackageError(f"model package {folder.name}: its signature can't be checked: {error}") from error
        if not verdict.manifest_sha256:
            raise PackageError(verdict.refusal)


def require_libraries() -> None:
    """Raises SignersError, naming the extra, where signatures can't be checked or made in this environment."""
    missing = next((name for name in LIBRARIES if find_spec(name) is None), "")
    if missing:
        raise SignersError(f"signatures need the extra [signing]: {missing} is not installed; {EXTRA}")


def approval(signers: Sequence[Path]) -> Callable[[Path], None] | None:
    """What a package must pass to be installed; None where no signature is asked for. Raises SignersError."""
    return Signatures(signers).require if signers else None


def standing(folders: Iterable[Path], verdicts: Verdicts) -> list[Path]:
    """The folders without those that were refused and of which a signed namesake is there: it takes their place."""
    if verdicts is None:
        return list(folders)
    listed = [(folder, bool(verdicts[str(folder)].manifest_sha256)) for folder in folders]
    signed = {folder.name for folder, good in listed if good}
    return [folder for folder, good in listed if good or folder.name not in signed]


def _ask(order: Order) -> bytes:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edge_runtime.signing.process"], input=msgspec.json.encode(order),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SignersError(f"the process that checks signatures was not done in {TIMEOUT_S:g} s") from error
    except OSError as error:
        raise SignersError(f"the process that checks signatures can't be started ({error.strerror})") from error
    return done.stdout


def _answers(output: bytes) -> dict[str, Verdict]:
    """Raises SignersError where the process didn't get as far as its first line, or says that it can't check."""
    try:
        first, *others = [msgspec.json.decode(line, type=Line) for line in output.splitlines()]
    except (ValueError, msgspec.MsgspecError) as error:
        raise SignersError("the process that checks signatures ended without an answer") from error
    if first.error:
        raise SignersError(first.error)
    return {line.folder: _named(Path(line.folder), line.verdict) for line in others if line.verdict}


def _named(folder: Path, verdict: Verdict) -> Verdict:
    if not verdict.refusal:
        return verdict
    return msgspec.structs.replace(verdict, refusal=f"model package {folder.name}: {verdict.refusal}")
