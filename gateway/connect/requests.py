"""What a call's HTTP request says beside its message: in which form it comes, and what of that isn't taken here."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.connect.rpcs import Rpc
from gateway.connect.wires import FORMS, ConnectUnary, Wire, wire_of
from gateway.service.errors import ErrorCode, ServiceError

_VERSION = "connect-protocol-version"


class RefusedError(Exception):
    """No form of a call: it is answered as REST would, with these headers."""

    def __init__(self, error: ServiceError, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.error = error
        self.headers = headers


def form_of(rpc: Rpc, request: Request) -> Wire:
    """The form in which a call comes. Raises RefusedError."""
    if request.method == "GET" and rpc.safe:
        content_type = f"application/{_query(request).get('encoding', '')}"
    elif request.method == "POST":
        content_type = request.headers.get("content-type", "")
    else:
        allowed = "GET, POST" if rpc.safe else "POST"
        raise RefusedError(ServiceError(ErrorCode.METHOD_NOT_ALLOWED, f"this call takes {allowed}"), {"Allow": allowed})
    wire = wire_of(content_type, streams=rpc.gives_stream)
    if wire is None or (request.method == "GET" and not isinstance(wire, ConnectUnary)):
        taken = ", ".join(name for name in FORMS if wire_of(name, streams=rpc.gives_stream))
        told = f"this call comes as one of {taken}; gRPC itself has a port of its own"
        raise RefusedError(ServiceError(ErrorCode.UNSUPPORTED_MEDIA, told), {"Accept-Post": taken})
    return wire


def check_form(rpc: Rpc, wire: Wire, request: Request) -> None:
    """Raises ServiceError for a version, a compression or a kind of call that isn't taken."""
    query = _query(request)
    version = request.headers.get(_VERSION, "1") if request.method == "POST" else query.get("connect", "v1").removeprefix("v")
    if wire.transport == ConnectUnary.transport and version != "1":
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the version of Connect's protocol is 1", parameter=_VERSION)
    used = query.get("compression", "") if request.method == "GET" else request.headers.get(wire.compression, "")
    if used not in {"", "identity"}:
        raise ServiceError(ErrorCode.METHOD_NOT_ALLOWED, "no compression but identity is taken", parameter=wire.compression)
    if rpc.takes_stream:
        raise ServiceError(
            ErrorCode.METHOD_NOT_ALLOWED,
            "this call takes a stream of messages, which goes over gRPC alone; docs/browsers.md says what takes its place",
        )


def message_in_query(request: Request) -> bytes:
    """The message of a GET. Raises INVALID_ARGUMENT."""
    query = _query(request)
    message = query.get("message", "").encode("latin-1")
    if query.get("base64") != "1":
        return message
    try:
        return base64.b64decode(message.rstrip(b"=") + b"=" * (-len(message.rstrip(b"=")) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the message is no base64", parameter="message") from error


def _query(request: Request) -> dict[str, str]:
    """Each character is a byte: a message needn't be text."""
    return dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1"))
