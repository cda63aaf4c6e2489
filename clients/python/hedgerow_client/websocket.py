"""Streams over WebSocket: JSON for control and events, binary messages for frames and chunks (docs/streams.md)."""

import asyncio
import base64
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)

from hedgerow_client.errors import NOT_A_GATEWAY, HedgerowError, Unreachable, error_of, unreachable
from hedgerow_client.transport import Document, Link, Part, StreamResume, StreamStart, Told

PING_EVERY_S = 5.0
PING_TIMEOUT_S = 20.0
"""Longer than a stream may hold its sender up: a gateway that reads no frames reads no pings either."""
"""A connection that doesn't answer for twice that long is taken for lost."""
UNSENT_BYTES = 64 * 1024
"""How much may lie in the kernel unsent: on a slow link a live frame waits here, where a newer one can take its place."""
_HEADER = struct.Struct(">qdII")
_SERVER_ERROR = 500
_STATUSES = range(4400, 4600)
_IN_ORDER = 1000
_TOO_BIG = 1009
_CODES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


async def open_websocket(
    url: str, key: str, address: str, first: StreamStart | StreamResume, timeout_s: float
) -> Link:
    """A connection on which `first` was sent. Raises HedgerowError."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection = await connect(
            url, additional_headers=headers, open_timeout=timeout_s, ping_interval=PING_EVERY_S,
            ping_timeout=PING_TIMEOUT_S, close_timeout=1.0, max_size=None, compression=None, proxy=None,
        )
    except InvalidStatus as error:
        raise _refused(error, address) from None
    except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
        raise unreachable(address, type(error).__name__, maybe_processed=False) from None
    except WebSocketException as error:
        raise HedgerowError(NOT_A_GATEWAY, f"{address} speaks no WebSocket ({type(error).__name__})") from None
    _hold_little(connection)
    link = WebSocketLink(connection, address)
    await link.send(_first(first))
    return link


class WebSocketLink(Link):
    """One WebSocket connection."""

    def __init__(self, connection: ClientConnection, address: str) -> None:
        self._connection = connection
        self._address = address

    async def send(self, message: Document) -> None:
        """A control message."""
        with self._mapped():
            await self._connection.send(json.dumps(message))

    async def send_frame(self, part: Part) -> None:
        await self._send_part(part)

    async def send_chunk(self, part: Part) -> None:
        await self._send_part(part)

    async def send_ack(self, event: int) -> None:
        await self.send({"type": "ack", "event": event})

    async def send_end(self) -> None:
        await self.send({"type": "end"})

    async def receive(self) -> Told | None:
        with self._mapped():
            try:
                text = await self._connection.recv()
            except ConnectionClosedOK as error:
                if error.rcvd is not None and error.rcvd.code == _IN_ORDER:
                    return None
                raise
        message = _object(text)
        name = str(message.pop("type", ""))
        if name == "error":
            raise _error_of(message.get("problem") or {})
        pictures = message.pop("pictures", None) or {}
        number = int(message.pop("event", 0))
        return Told(number, name, message, {key: base64.b64decode(value) for key, value in pictures.items()})

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self._connection.close()

    async def _send_part(self, part: Part) -> None:
        header = _HEADER.pack(part.place, part.time_s, part.width, part.height)
        with self._mapped():
            await self._connection.send(header + part.content)

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else 0
            if code == _TOO_BIG:
                raise error_of("PAYLOAD_TOO_LARGE", "a message of the stream is larger than the gateway takes") from None
            if code in _STATUSES:
                told = error.rcvd.reason if error.rcvd else ""
                raise error_of(_CODES.get(code - 4000, "INTERNAL"), told or "the gateway ended the stream") from None
            raise unreachable(self._address, _cause(code), maybe_processed=True) from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise unreachable(self._address, type(error).__name__, maybe_processed=True) from None


def _first(first: StreamStart | StreamResume) -> Document:
    if isinstance(first, StreamResume):
        return {"type": "resume", "token": first.token, "received_events": first.received_events}
    return {
        "type": "start", "parameters": dict(first.parameters), "codec": first.codec, "policy": first.policy,
        "sample_fps": first.sample_fps, "with_pictures": first.with_pictures,
    }


def _hold_little(connection: ClientConnection) -> None:
    kernel = connection.transport.get_extra_info("socket")
    lowest = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if kernel is not None and lowest is not None:
        with contextlib.suppress(OSError):
            kernel.setsockopt(socket.IPPROTO_TCP, lowest, UNSENT_BYTES)


def _refused(error: InvalidStatus, address: str) -> HedgerowError:
    response = error.response
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return _error_of(_object(response.body or b""))
    message = f"{address} answered {response.status_code} to a stream"
    if response.status_code >= _SERVER_ERROR:
        return Unreachable(NOT_A_GATEWAY, message)
    return HedgerowError(NOT_A_GATEWAY, f"{message}, but is no Hedgerow gateway that takes one")


def _error_of(problem: Document) -> HedgerowError:
    return error_of(
        str(problem.get("code", "INTERNAL")), str(problem.get("detail", "the gateway ended the stream")),
        request_id=str(problem.get("request_id", "")), parameter=str(problem.get("parameter") or ""),
        retry_after_s=problem.get("retry_after_s"),
    )


def _object(text: str | bytes | bytearray) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HedgerowError(NOT_A_GATEWAY, "a message of the stream is no JSON object")
    return found


def _cause(code: int) -> str:
    return f"the connection was closed ({code})" if code else "the connection was cut"
