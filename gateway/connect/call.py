"""One call over HTTP, as a servicer sees it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NoReturn

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from starlette.types import Send

from gateway.connect.codecs import encode
from gateway.connect.wires import Wire
from gateway.grpc.calls import REQUEST_ID

_DETAILS = "grpc-status-details-bin"
_AT_ONCE = {"x-accel-buffering": "no"}
"""Proxies are to hand on each message as it comes (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering)."""


class AbortedError(Exception):
    """A servicer ended its call with this status."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__()
        self.status = status


class HttpCall:
    """A gateway.grpc.calls.Context. Its answer's head goes out with the first byte of the body, so that a call which fails
    before it has said anything can still say so in its status.

    `deadline`: on the running loop's clock; None where the caller sets none. `metadata`: the request's headers, and in them
    the request's id, which goes back with the answer whoever gives it.
    """

    def __init__(self, wire: Wire, metadata: Mapping[str, str], send: Send) -> None:
        self.deadline: float | None = None
        self._wire = wire
        self._metadata = metadata
        self._send = send
        self._headers = {REQUEST_ID: metadata[REQUEST_ID]}
        self._begun = False

    def expire_after(self, seconds: float | None) -> None:
        """Sets the deadline, from now on."""
        self.deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """The request's headers."""
        return tuple(self._metadata.items())

    def time_remaining(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()

    async def send_initial_metadata(self, initial_metadata: Sequence[tuple[str, str]]) -> None:
        """Headers of the answer."""
        self._headers.update(initial_metadata)

    async def write(self, message: Message) -> None:
        """One message of many."""
        await self._out(self._wire.packed(encode(message, self._wire.codec)), None, more=True)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """Raises AbortedError."""
        details = dict(status.trailing_metadata)
        raise AbortedError(status_pb2.Status.FromString(details[_DETAILS]))

    async def end(self, status: status_pb2.Status | None = None, *, answer: Message | None = None) -> None:
        """Sends the rest: the one message of an answer that has one, and how the call ended."""
        message = b"" if answer is None else self._wire.packed(encode(answer, self._wire.codec))
        await self._out(message + self._wire.end(status), status, more=False)

    async def _out(self, body: bytes, failed: status_pb2.Status | None, *, more: bool) -> None:
        if not self._begun:
            code, content_type = self._wire.head(failed)
            headers = self._headers | {"content-type": content_type, "cache-control": "no-store"}
            headers |= _AT_ONCE if more else {"content-length": str(len(body))}
            self._begun = True
            raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            await self._send({"type": "http.response.start", "status": code, "headers": raw})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
