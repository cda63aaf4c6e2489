"""The headers of tus 1.0.0, read and written. Pure."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import check_key
from gateway.service.uploads.intake import Algorithm, Checksum
from gateway.service.uploads.records import Upload

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
OFFSET_STREAM = "application/offset+octet-stream"
METADATA = "Upload-Metadata"
CHECKSUM = "Upload-Checksum"
DROPPED = frozenset({"filename", "filetype", "name", "type", "relativePath"})
"""What uploaders send by themselves. The name of a patient's file tells too much: it is neither kept nor logged."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_SIZES = {"sha1": 20, "sha256": 32}


class WrongVersion(ServiceError):
    """The request speaks another version of tus, or none."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.INVALID_ARGUMENT, f"this is tus {VERSION}: send Tus-Resumable: {VERSION}", parameter="Tus-Resumable"
        )


@dataclass(frozen=True, slots=True)
class Metadata:
    """What Upload-Metadata says of an upload, but for what isn't kept."""

    domain: str
    parameters: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    callback_url: str = ""


def number_of(text: str | None, header: str) -> int:
    """A count of bytes. Raises INVALID_ARGUMENT."""
    if text is None or not _NUMBER.fullmatch(text):
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"{header} must be a number of bytes", parameter=header)
    return int(text)


def metadata_of(values: Sequence[str]) -> Metadata:
    """From the header's values, one for each time that it was sent. Raises INVALID_ARGUMENT."""
    found: dict[str, str] = {}
    for pair in ",".join(values).split(","):
        name, _, encoded = pair.strip().partition(" ")
        if not name:
            continue
        if name in found:
            raise _malformed(f"has {name} twice" if name in _KEPT else "has a key twice")
        if name not in _KEPT and name not in DROPPED:
            raise _malformed(f"takes {', '.join(_KEPT)}, and drops what names the file")
        found[name] = _text(encoded) if name in _KEPT else ""
    if not found.get("domain"):
        raise _malformed("must name the domain")
    key = found.get("idempotency_key", "")
    return Metadata(
        found["domain"], _parameters(found.get("parameters", "")), check_key(key, METADATA) if key else "",
        found.get("callback_url", ""),
    )


def metadata_to_header(upload: Upload) -> str:
    """What is kept of an upload's metadata, as it was sent."""
    about = {
        "domain": upload.domain,
        "parameters": msgspec.json.encode(upload.parameters).decode() if upload.parameters else "",
        "idempotency_key": str(upload.metadata.get("key", "")),
        "callback_url": str(upload.metadata.get("callback_url", "")),
    }
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode('ascii')}" for name, value in about.items() if value
    )


def checksum_of(text: str | None) -> Checksum | None:
    """Upload-Checksum, where it was sent. Raises INVALID_ARGUMENT for another algorithm or form."""
    if text is None:
        return None
    name, _, encoded = text.strip().partition(" ")
    algorithm = next((known for known in ALGORITHMS if known == name), None)
    if algorithm is None:
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, f"checksums are {' and '.join(ALGORITHMS)} here", parameter=CHECKSUM
        )
    digest = _decoded(encoded)
    if digest is None or len(digest) != _SIZES[algorithm]:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"this is no {algorithm} in base64", parameter=CHECKSUM)
    return Checksum(algorithm, digest)


_KEPT = ("domain", "parameters", "idempotency_key", "callback_url")


def _parameters(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise _malformed("has parameters that are no JSON object") from None


def _text(encoded: str) -> str:
    decoded = _decoded(encoded)
    try:
        if decoded is None:
            raise ValueError
        return decoded.decode()
    except ValueError:
        raise _malformed("has a value that is no text in base64") from None


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _malformed(why: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"{METADATA} {why}", parameter=METADATA)
