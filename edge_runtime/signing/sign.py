"""Signs a package: every file in its folder, as a Sigstore bundle in `model.sig` beside them."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from model_signing import signing

from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, SIGNATURE, unfinished, write_whole
from edge_runtime.models import ModelPackage, load_package
from edge_runtime.signatures import SignersError
from edge_runtime.signing.certificates import subject_of, what_is_wrong
from edge_runtime.signing.signers import certificates_in, fingerprint, read_pem, require_curve
from edge_runtime.signing.verifier import Hashing, file_names


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs. `certificate` and `chain` (those between it and its authority): PEM files, where not the key itself is
    trusted. `password_file`: its first line opens the key.
    """

    key: Path
    password_file: Path | None = None
    certificate: Path | None = None
    chain: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """What was made. `signer` says who, for people."""

    file: Path
    package: ModelPackage
    signer: str


def sign(folder: Path, by: SigningKey) -> Signature:
    """Writes or replaces the package's signature.

    Raises PackageError for a folder that is no sound package or holds files that its manifest doesn't name (they could not
    be installed with it), SignersError for a key or a certificate that can't sign.
    """
    folder = folder.resolve()
    package = load_package(folder)
    unfinished(folder / SIGNATURE).unlink(missing_ok=True)
    unnamed = sorted(_names(folder) - _named(package))
    if unnamed:
        raise PackageError(f"model package {folder.name}: {MANIFEST} gives no SHA-256 for {unnamed[0]}; remove it, or name it there")
    key = _key(by)
    with _in_memory(key) as path, tempfile.TemporaryDirectory(prefix="hedgerow-") as scratch:
        signer, config = _signer(by, key, path)
        made = Path(scratch) / SIGNATURE
        config.set_hashing_config(Hashing()).sign(folder, made)
        content = made.read_bytes()
    try:
        write_whole(folder / SIGNATURE, content)
    except OSError as error:
        raise PackageError(f"model package {folder.name}: {SIGNATURE} can't be written ({error.strerror})") from error
    return Signature(folder / SIGNATURE, package, signer)


def _names(folder: Path) -> set[str]:
    try:
        return file_names(folder)
    except PackageError as error:
        raise PackageError(f"model package {folder.name}: {error}") from error


def _named(package: ModelPackage) -> set[str]:
    manifest = package.manifest
    variants = {variant.file for variant in manifest.variants.values()}
    return {MANIFEST, manifest.known_answer.file, *variants, *manifest.files}


def _key(by: SigningKey) -> ec.EllipticCurvePrivateKey:
    content = read_pem(by.key)
    password = None if by.password_file is None else read_pem(by.password_file).splitlines()[:1]
    try:
        key = load_pem_private_key(content, b"".join(password) if password is not None else None)
    except TypeError as error:
        wrong = "isn't protected by a password; leave --password-file out" if password is not None else (
            "is protected by a password; --password-file names the file that holds it")
        raise SignersError(f"{by.key} {wrong}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = f"{by.password_file} doesn't open {by.key}" if b"ENCRYPTED" in content else f"{by.key} holds no private key (PEM)"
        raise SignersError(wrong) from error
    require_curve(by.key, key.public_key())
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SignersError(f"{by.key} holds no private key that can sign")
    return key


@contextmanager
def _in_memory(key: ec.EllipticCurvePrivateKey) -> Iterator[Path]:
    """The key as a file that lies in memory alone: the library takes a path, and no password for keys of certificates."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _signer(by: SigningKey, key: ec.EllipticCurvePrivateKey, path: Path) -> tuple[str, signing.Config]:
    config = signing.Config()  # type: ignore[no-untyped-call] # the library leaves it untyped
    if by.certificate is None:
        return f"the key {fingerprint(key.public_key())[:12]}...", config.use_elliptic_key_signer(private_key=path)
    certificate = certificates_in(by.certificate)[0]
    for file in by.chain:
        certificates_in(file)
    if certificate.public_key() != key.public_key():
        raise SignersError(f"{by.key} is not the key of the certificate in {by.certificate}")
    if wrong := what_is_wrong(certificate):
        raise SignersError(f"the certificate in {by.certificate}, {subject_of(certificate)}, {wrong}")
    return f"the certificate of {subject_of(certificate)}", config.use_certificate_signer(
        private_key=path, signing_certificate=by.certificate,
        certificate_chain=by.chain or [by.certificate],  # it can't read an empty chain; one that is there twice does no harm
    )

