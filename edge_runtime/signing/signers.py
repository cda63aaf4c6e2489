"""Who is trusted to sign: public keys and certificates of authorities, from PEM files."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_runtime.signatures import SignersError

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key. `fingerprint`: SHA-256 (hex) of its PEM, as signatures name it."""

    file: Path
    pem: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Signers:
    """Whoever may sign."""

    keys: tuple[TrustedKey, ...]
    authorities: tuple[x509.Certificate, ...]


def read_signers(files: Iterable[Path]) -> Signers:
    """Raises SignersError, naming the file, for one that can't be read or holds neither."""
    keys: list[TrustedKey] = []
    authorities: list[x509.Certificate] = []
    for file in files:
        content = read_pem(file)
        if b"PRIVATE KEY-----" in content:
            raise SignersError(
                f"{file} holds a private key; what is wanted is its public half: openssl pkey -in {file} -pubout"
            )
        try:
            if b"-----BEGIN CERTIFICATE-----" in content:
                authorities += x509.load_pem_x509_certificates(content)
            else:
                keys.append(_key(file, content))
        except SignersError:
            raise
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SignersError(f"{file} holds neither a public key nor certificates (PEM)") from error
    return Signers(tuple(keys), tuple(authorities))


def read_pem(file: Path) -> bytes:
    """A file's bytes. Raises SignersError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise SignersError(f"{file} can't be read ({error.strerror})") from error


def require_curve(file: Path, key: object) -> ec.EllipticCurvePublicKey:
    """The key, where packages can be signed with it. Raises SignersError, naming `file`, for any other kind."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise SignersError(
            f"{file}: packages are signed with keys on the curves {', '.join(CURVES.values())}, this is another kind of key"
        )
    return key


def canonical(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as the PEM that fingerprints are made of."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 (hex) of its PEM: how signatures name it."""
    return sha256(canonical(key)).hexdigest()


def certificates_in(file: Path) -> list[x509.Certificate]:
    """Of a PEM file, at least one. Raises SignersError."""
    try:
        return x509.load_pem_x509_certificates(read_pem(file))
    except ValueError as error:
        raise SignersError(f"{file} holds no certificate (PEM)") from error


def _key(file: Path, content: bytes) -> TrustedKey:
    key = require_curve(file, serialization.load_pem_public_key(content))
    return TrustedKey(file, canonical(key), fingerprint(key))
