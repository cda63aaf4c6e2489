"""The frames between the supervisor and a worker: a checked header and raw bytes, over a Unix socket pair.

    frame = length of header (4 bytes, big endian) | header (msgpack) | blobs, one after the other

The header says how long each blob is. A picture is never pickled, base64-encoded or copied into the header.
"""

import struct
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from domains import errors as domain_errors
from domains.errors import DomainError, InvalidParameter
from edge_runtime import errors as edge_errors
from edge_runtime.errors import EdgeError, TaskFailed

PREFIX = struct.Struct(">I")
MAX_HEADER_BYTES = 64 * 1024 * 1024
"""More than any answer's document; a longer one means that the other side isn't speaking this protocol."""


class WireError(msgspec.Struct, frozen=True):
    """An error on its way from the worker: the name of a class of ours and its message, which is safe to show."""

    kind: str
    message: str
    parameter: str = ""


class TaskMessage(msgspec.Struct, frozen=True, tag="task"):
    """Work for a worker. Blob `input` is the upload; for `render` the result's pictures come along."""

    id: int
    action: Literal["analyse", "render"]
    domain: str
    parameters: dict[str, Any] = {}
    artifact: str = ""
    document: dict[str, Any] = {}
    media: dict[str, Any] = {}
    blobs: dict[str, int] = {}


class Timings(msgspec.Struct, frozen=True):
    """Seconds that each stage took."""

    queue: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


class ReplyMessage(msgspec.Struct, frozen=True, tag="reply"):
    """A worker's answer: `error`, or the documents and pictures (blobs) of the result."""

    id: int
    error: WireError | None = None
    document: dict[str, Any] = {}
    media: dict[str, Any] = {}
    model: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    timings: Timings = Timings()
    blobs: dict[str, int] = {}


class ModelInfo(msgspec.Struct, frozen=True):
    """A model package as a node describes it. `state` is `ready` or `refused`, the latter with its reason."""

    name: str
    state: Literal["ready", "refused"]
    reason: str = ""
    version: str = ""
    domain: str = ""
    task: str = ""
    title: str = ""
    labels: list[str] = []
    variant: str = ""
    sha256: str = ""
    size_bytes: int = 0
    intended_use: str = ""
    licence: dict[str, str] = {}
    metrics: dict[str, Any] = {}


class ParameterDescription(msgspec.Struct, frozen=True):
    """A parameter that callers of a domain may give; no choices means a free value."""

    name: str
    description: str
    choices: list[str] = []


class DomainDescription(msgspec.Struct, frozen=True):
    """A domain as a node describes it: what callers may say, and which models answer."""

    name: str
    title: str
    parameters: list[ParameterDescription]
    models: list[str]


class ReadyMessage(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has loaded and warmed every model that it could trust."""

    device: str
    models: list[ModelInfo]
    domains: list[DomainDescription]


Message = TaskMessage | ReplyMessage | ReadyMessage

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Prefix and header; the blobs follow it."""
    header = _encoder.encode(message)
    return PREFIX.pack(len(header)) + header


def decode(header: bytes) -> Message:
    """A header's bytes, without the prefix. Raises msgspec.ValidationError for anything else."""
    message: Message = _decoder.decode(header)
    return message


def blob_sizes(message: Message) -> Mapping[str, int]:
    """Names and lengths of the blobs that follow, in order."""
    return {} if isinstance(message, ReadyMessage) else message.blobs


def error_to_wire(error: Exception) -> WireError:
    """Errors of ours keep their class and message; of any other only the class name leaves the worker."""
    if isinstance(error, DomainError | EdgeError):
        return WireError(type(error).__name__, str(error), getattr(error, "parameter", ""))
    return WireError(TaskFailed.__name__, f"unforeseen {type(error).__name__} in the worker")


def error_from_wire(error: WireError) -> DomainError | EdgeError:
    """The error again; TaskFailed where its class isn't known here."""
    found = getattr(domain_errors, error.kind, None) or getattr(edge_errors, error.kind, None)
    if not isinstance(found, type) or not issubclass(found, DomainError | EdgeError):
        return TaskFailed(error.message)
    if issubclass(found, InvalidParameter):
        return found(error.message, parameter=error.parameter)
    return found(error.message)
