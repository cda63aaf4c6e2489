"""One package against its signature: who signed it, and whether each file is as it was then."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from os import PathLike
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from model_signing import hashing, verifying
from model_signing.manifest import Manifest

from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE
from edge_runtime.signing.bundle import Bundle, read_bundle, written
from edge_runtime.signing.certificates import subject_of, what_is_wrong, why_untrusted
from edge_runtime.signing.signers import Signers

AnyPath = str | bytes | PathLike[str]


@dataclass(frozen=True, slots=True)
class Approved:
    """A package that is as it was signed. `manifest_sha256` is of its manifest; `signer` says who, for people."""

    manifest_sha256: str
    signer: str


class Hashing(hashing.Config):
    """What is hashed: every file of the package but its signature. It tells how far a verification came."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the library leaves it untyped
        self.use_file_serialization(hashing_algorithm="sha256")
        self.set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
        self.authentic = False
        """The files are hashed only once the signature has proved to be a trusted signer's."""
        self.digests: dict[str, str] = {}

    def hash(self, model_path: AnyPath, *, files_to_hash: Iterable[AnyPath] | None = None) -> Manifest:
        """The library's own, remembered."""
        self.authentic = True
        found = super().hash(model_path, files_to_hash=files_to_hash)
        self.digests = {one.identifier: one.digest.digest_hex for one in found.resource_descriptors()}
        return found


def verify(folder: Path, signers: Signers) -> Approved:
    """Raises PackageError, whose sentence names the file or the signer at fault, unless a signer signed it as it is."""
    folder = folder.resolve()
    names = file_names(folder)
    if MANIFEST not in names:
        raise PackageError(f"it is no model package: it holds no {MANIFEST}")
    try:
        bundle = read_bundle(folder)
        chain = [x509.load_der_x509_certificate(one) for one in bundle.certificates]
    except FileNotFoundError as error:
        raise PackageError(f"it is not signed: it holds no {SIGNATURE}") from error
    except (OSError, ValueError) as error:
        raise PackageError(f"its {SIGNATURE} can't be read as a signature: {_reason(error)}") from error
    with tempfile.TemporaryDirectory(prefix="hedgerow-") as scratch:
        place = Path(scratch)
        (place / SIGNATURE).write_bytes(written(bundle))
        if chain:
            signer, config = _by_certificate(chain, signers, place)
        else:
            signer, config = _by_key(bundle, signers, place)
        digests = _verified(folder, config, place / SIGNATURE, bundle, signer)
    left_out = sorted(names - set(digests))
    if left_out:
        raise PackageError(f"its signature leaves out {left_out[0]}; `hedgerow model sign` signs every file")
    return Approved(digests[MANIFEST], signer)


def file_names(folder: Path) -> set[str]:
    """The files of a package, without its signature. Raises PackageError where it holds anything but plain files."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PackageError(f"its folder can't be read ({error.strerror})") from error
    for entry in entries:
        if entry.is_symlink() or not entry.is_file():
            raise PackageError(f"it holds {entry.name}, which is no plain file")
    return {entry.name for entry in entries} - {SIGNATURE}


def _by_key(bundle: Bundle, signers: Signers, place: Path) -> tuple[str, verifying.Config]:
    hint = bundle.verification_material.public_key
    named = hint.hint if hint else ""
    key = next((key for key in signers.keys if key.fingerprint == named), None)
    if key is None:
        raise PackageError(f"it is signed by another key than the trusted ones (key {named[:12]}...)")
    (place / "key.pem").write_bytes(key.pem)
    config = verifying.Config()  # type: ignore[no-untyped-call] # as above
    return f"{key.file} (key {named[:12]}...)", config.use_elliptic_key_verifier(public_key=place / "key.pem")


def _by_certificate(
    chain: list[x509.Certificate], signers: Signers, place: Path
) -> tuple[str, verifying.Config]:
    subject = subject_of(chain[0])
    if wrong := what_is_wrong(chain[0]):
        raise PackageError(f"the certificate that signed it, {subject}, {wrong}")
    if wrong := why_untrusted(chain, signers.authorities):
        raise PackageError(f"it is signed by another than the trusted ones: {wrong}")
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in signers.authorities)
    (place / "authorities.pem").write_bytes(pem)
    config = verifying.Config()  # type: ignore[no-untyped-call] # as above
    return f"the certificate of {subject}", config.use_certificate_verifier(certificate_chain=[place / "authorities.pem"])


def _verified(folder: Path, config: verifying.Config, signature: Path, bundle: Bundle, signer: str) -> dict[str, str]:
    """SHA-256 by file of what is there and was signed. Raises PackageError."""
    hashed = Hashing()
    try:
        with redirect_stdout(StringIO()):  # standard output is for answers, and the library would print there
            config.set_hashing_config(hashed).verify(folder, signature)
    except Exception as error:  # it has no error class of its own, and what it reads is a stranger's
        if not hashed.authentic:
            raise PackageError(f"its signature is not that of {signer}: it was forged or damaged") from error
        changed = next(_changes(folder, bundle), "it doesn't fit its signature")
        raise PackageError(changed) from error
    return hashed.digests


def _changes(folder: Path, bundle: Bundle) -> Iterator[str]:
    """What is no longer as it was signed, a sentence each. The bundle's signature has proved good."""
    try:
        signed = bundle.digests()
    except ValueError as error:
        yield f"its signature can't be used: {_reason(error)}; sign it with `hedgerow model sign`"
        return
    there = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(file_names(folder))}
    yield from (f"{name} was changed after it was signed" for name in there if signed.get(name, there[name]) != there[name])
    yield from (f"{name} is missing: it was there when it was signed" for name in signed if name not in there)
    yield from (f"{name} was added after it was signed" for name in there if name not in signed)


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
