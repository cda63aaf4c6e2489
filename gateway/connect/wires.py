"""How calls look on the wire: Connect (https://connectrpc.com/docs/protocol/) and gRPC-Web
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). No I/O.
"""

import base64
import binascii
import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from google.protobuf import json_format
from google.rpc import code_pb2, status_pb2

from gateway.connect.codecs import Codec
from gateway.connect.timeouts import connect_timeout_s, grpc_timeout_s
from gateway.service.errors import ErrorCode, ServiceError

CONNECT_JSON = "application/json"
_HEADER = struct.Struct(">BI")  # flags, length of the message
_COMPRESSED, _END_STREAM, _TRAILERS = 0x01, 0x02, 0x80
_HTTP = {
    code_pb2.CANCELLED: 499, code_pb2.UNKNOWN: 500, code_pb2.INVALID_ARGUMENT: 400, code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404, code_pb2.ALREADY_EXISTS: 409, code_pb2.PERMISSION_DENIED: 403,
    code_pb2.RESOURCE_EXHAUSTED: 429, code_pb2.FAILED_PRECONDITION: 400, code_pb2.ABORTED: 409, code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501, code_pb2.INTERNAL: 500, code_pb2.UNAVAILABLE: 503, code_pb2.DATA_LOSS: 500,
    code_pb2.UNAUTHENTICATED: 401,
}
"""https://connectrpc.com/docs/protocol/#error-codes"""


class Wire(ABC):
    """One form of a call. `transport`: what the log calls it. `compression`: the header in which a caller says how it
    compressed what it sends. `growth`: so many times a file's size is the most that a message with it takes.
    """

    transport: ClassVar[str]
    compression: ClassVar[str]

    def __init__(self, content_type: str, codec: Codec) -> None:
        self.content_type = content_type
        self.codec = codec
        self.growth = 4 / 3 if codec == "json" else 1.0

    @abstractmethod
    def timeout_s(self, headers: Mapping[str, str]) -> float | None:
        """Seconds that the caller gives the call; None where it sets no deadline. Raises INVALID_ARGUMENT."""

    @abstractmethod
    def unpacked(self, body: bytes) -> bytes:
        """The one message of a request. Raises INVALID_ARGUMENT."""

    @abstractmethod
    def packed(self, payload: bytes) -> bytes:
        """A message of the answer."""

    @abstractmethod
    def end(self, status: status_pb2.Status | None) -> bytes:
        """What follows the last message; None where all went well."""

    def head(self, failed: status_pb2.Status | None) -> tuple[int, str]:
        """HTTP's status and content type of an answer. `failed`: it begins with its end, and this is that."""
        del failed
        return 200, self.content_type


class ConnectUnary(Wire):
    """One message there, one back, each being the body."""

    transport = "connect"
    compression = "content-encoding"

    def timeout_s(self, headers: Mapping[str, str]) -> float | None:
        """From Connect-Timeout-Ms."""
        return connect_timeout_s(headers)

    def unpacked(self, body: bytes) -> bytes:
        """The body."""
        return body

    def packed(self, payload: bytes) -> bytes:
        """The body."""
        return payload

    def end(self, status: status_pb2.Status | None) -> bytes:
        """An error is a body too."""
        return _json(_error(status)) if status else b""

    def head(self, failed: status_pb2.Status | None) -> tuple[int, str]:
        """Errors have a status and are JSON, whatever the messages are."""
        return (_HTTP[failed.code], CONNECT_JSON) if failed else (200, self.content_type)


class _Enveloped(Wire):
    """Each message has flags and its length before it."""

    def unpacked(self, body: bytes) -> bytes:
        """Of exactly one envelope."""
        if len(body) < _HEADER.size:
            raise _malformed("the body ends within a message's first five bytes")
        flags, length = _HEADER.unpack_from(body)
        if flags & _COMPRESSED:
            raise _malformed("the message is compressed, and no header says how")
        if flags:
            raise _malformed("the message's flags aren't known")
        if length != len(body) - _HEADER.size:
            raise _malformed(f"a message of {length} bytes is announced, {len(body) - _HEADER.size} follow; send exactly one")
        return body[_HEADER.size:]

    def packed(self, payload: bytes) -> bytes:
        """In an envelope."""
        return _enveloped(0, payload)


class ConnectStream(_Enveloped):
    """One message there, any number back; the last envelope tells how it ended."""

    transport = "connect"
    compression = "connect-content-encoding"

    def timeout_s(self, headers: Mapping[str, str]) -> float | None:
        """From Connect-Timeout-Ms."""
        return connect_timeout_s(headers)

    def end(self, status: status_pb2.Status | None) -> bytes:
        """The last envelope, always there."""
        return _enveloped(_END_STREAM, _json({"error": _error(status)} if status else {}))


class GrpcWeb(_Enveloped):
    """gRPC's messages, its trailers as the last of them."""

    transport = "grpc-web"
    compression = "grpc-encoding"

    def timeout_s(self, headers: Mapping[str, str]) -> float | None:
        """From grpc-timeout."""
        return grpc_timeout_s(headers)

    def end(self, status: status_pb2.Status | None) -> bytes:
        """The trailers."""
        lines = [f"grpc-status: {status.code if status else 0}"]
        if status:
            lines.append(f"grpc-message: {quote(status.message, safe=_UNQUOTED)}")
            lines.append(f"grpc-status-details-bin: {_unpadded(status.SerializeToString())}")
        return _enveloped(_TRAILERS, "".join(f"{line}\r\n" for line in lines).encode("ascii"))


class GrpcWebText(GrpcWeb):
    """The same in base64, for callers that can't read bytes."""

    def __init__(self, content_type: str, codec: Codec) -> None:
        super().__init__(content_type, codec)
        self.growth *= 4 / 3

    def unpacked(self, body: bytes) -> bytes:
        """Of base64, padded at the end."""
        try:
            return super().unpacked(base64.b64decode(body, validate=True))
        except binascii.Error as error:
            raise _malformed("the body is no base64") from error

    def packed(self, payload: bytes) -> bytes:
        """Padded message by message, so that each can be read when it comes."""
        return base64.b64encode(super().packed(payload))

    def end(self, status: status_pb2.Status | None) -> bytes:
        """In base64 as well."""
        return base64.b64encode(super().end(status))


_UNQUOTED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
"""What gRPC leaves as it is in a message (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
FORMS: dict[str, tuple[type[Wire], Codec]] = {
    "application/json": (ConnectUnary, "json"),
    "application/proto": (ConnectUnary, "proto"),
    "application/connect+json": (ConnectStream, "json"),
    "application/connect+proto": (ConnectStream, "proto"),
    "application/grpc-web": (GrpcWeb, "proto"),
    "application/grpc-web+proto": (GrpcWeb, "proto"),
    "application/grpc-web-text": (GrpcWebText, "proto"),
    "application/grpc-web-text+proto": (GrpcWebText, "proto"),
}
"""By content type."""
TRANSPORTS = (ConnectUnary.transport, GrpcWeb.transport)


def wire_of(content_type: str, *, streams: bool) -> Wire | None:
    """The form in which a call comes; None where that is none for it. `streams`: whether its answer has many messages."""
    name = content_type.partition(";")[0].strip().lower()
    if name not in FORMS:
        return None
    form, codec = FORMS[name]
    return None if form is (ConnectUnary if streams else ConnectStream) else form(name, codec)


def _enveloped(flags: int, payload: bytes) -> bytes:
    return _HEADER.pack(flags, len(payload)) + payload


def _error(status: status_pb2.Status) -> dict[str, Any]:
    """https://connectrpc.com/docs/protocol/#error-end-stream; `debug` is the detail for people and for pages without protos."""
    code = code_pb2.Code.Name(status.code).lower()
    return {
        "code": "canceled" if code == "cancelled" else code,
        "message": status.message,
        "details": [{
            "type": detail.type_url.rpartition("/")[2],
            "value": _unpadded(detail.value),
            "debug": {name: value for name, value in json_format.MessageToDict(detail).items() if name != "@type"},
        } for detail in status.details],
    }


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _unpadded(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _malformed(why: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"the body is malformed: {why}")
