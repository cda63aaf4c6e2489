"""The part of a signature's file that counts: a Sigstore bundle (JSON) around a DSSE envelope.

The file is a stranger's. It is read here once, into the few fields below, and the library that verifies gets these fields
written anew: so there are no two readings of one file that could differ.
Formats: sigstore/protobuf-specs (sigstore_bundle.proto, v0.3) and secure-systems-lab/dsse.
"""

import base64
from pathlib import Path

import msgspec

from edge_runtime.folders import SIGNATURE

MAX_BYTES = 1024 * 1024
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


class KeyHint(msgspec.Struct, frozen=True):
    """SHA-256 (hex) of the public key's PEM."""

    hint: str


class CertificateBytes(msgspec.Struct, frozen=True, rename="camel"):
    """DER as base64."""

    raw_bytes: str


class Chain(msgspec.Struct, frozen=True):
    """The signing certificate, and those between it and its authority."""

    certificates: list[CertificateBytes]


class Material(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who signed: a key or a certificate."""

    public_key: KeyHint | None = None
    x509_certificate_chain: Chain | None = None


class Signed(msgspec.Struct, frozen=True):
    """One signature, as base64."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """What was signed, as base64, and the signatures."""

    payload: str
    payload_type: str
    signatures: list[Signed]


class Resource(msgspec.Struct, frozen=True):
    """A file that was signed: `digest` is hex."""

    name: str
    algorithm: str
    digest: str


class Predicate(msgspec.Struct, frozen=True):
    """Of the statement."""

    resources: list[Resource]


class Statement(msgspec.Struct, frozen=True):
    """The payload, an in-toto statement."""

    predicate: Predicate


class Bundle(msgspec.Struct, frozen=True, rename="camel"):
    """The whole file."""

    media_type: str
    verification_material: Material
    dsse_envelope: Envelope

    @property
    def certificates(self) -> list[bytes]:
        """DER, the signing certificate first; none where a key signed. Raises ValueError."""
        chain = self.verification_material.x509_certificate_chain
        return [base64.b64decode(one.raw_bytes, validate=True) for one in chain.certificates] if chain else []

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) by file as the payload claims them; nothing says yet that anybody signed it. Raises ValueError."""
        try:
            statement = msgspec.json.decode(base64.b64decode(self.dsse_envelope.payload, validate=True), type=Statement)
        except msgspec.MsgspecError as error:
            raise ValueError("it signs no list of files, or one of an older form") from error
        if any(one.algorithm != "sha256" for one in statement.predicate.resources):
            raise ValueError("it signs other digests than SHA-256")
        return {one.name: one.digest for one in statement.predicate.resources}


def read_bundle(package: Path) -> Bundle:
    """A package's signature. Raises FileNotFoundError where it has none, ValueError where the file is no such bundle."""
    with (package / SIGNATURE).open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        bundle = msgspec.json.decode(content, type=Bundle)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("it is no Sigstore bundle of a key or a certificate") from error
    material = bundle.verification_material
    chain = material.x509_certificate_chain
    if bundle.media_type != MEDIA_TYPE or len(bundle.dsse_envelope.signatures) != 1:
        raise ValueError("it is a Sigstore bundle of another form")
    if (material.public_key is None) == (chain is None) or (chain is not None and not chain.certificates):
        raise ValueError("it must name one key or one chain of certificates")
    return bundle


def written(bundle: Bundle) -> bytes:
    """The fields above as a bundle again, and nothing else."""
    return msgspec.json.encode(bundle)
