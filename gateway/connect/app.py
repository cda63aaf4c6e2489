"""The ASGI part in front of REST that answers the calls of the protos, as Connect or as gRPC-Web.

What a browser can't do isn't done: none reads an answer while it still sends its request, and few send one in pieces. Calls
that take a stream of messages are answered `unimplemented`; docs/browsers.md says what takes their place.
"""

import asyncio

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.connect.call import AbortedError, HttpCall
from gateway.connect.codecs import decode
from gateway.connect.requests import RefusedError, check_form, form_of, message_in_query
from gateway.connect.rpcs import Rpc, rpcs_of
from gateway.connect.wires import Wire
from gateway.grpc.calls import REQUEST_ID
from gateway.grpc.services import MESSAGE_OVERHEAD
from gateway.grpc.status import STATUS, to_status
from gateway.http import read_body, unless_gone
from gateway.rest.problems import to_response
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.requests import RequestContext
from gateway.service.services import Services

THREAD_FROM_BYTES = 256 * 1024
"""A message as big as this is taken apart in a thread, so that other callers don't wait for it."""


class ConnectApp:
    """Answers POST /PACKAGE.SERVICE/METHOD, and GET where a call changes nothing; all else goes to `otherwise`."""

    def __init__(self, services: Services, otherwise: ASGIApp) -> None:
        self._keys = services.keys
        self._policy = services.analyses.policy
        self._otherwise = otherwise
        self._rpcs = rpcs_of(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rpc = self._rpcs.get(scope["path"]) if scope["type"] == "http" else None
        if rpc is None:
            await self._otherwise(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            wire = form_of(rpc, request)
        except RefusedError as refused:
            about = RequestContext("connect", rpc.name, request.headers.get(REQUEST_ID))
            response = to_response(about.failed(refused.error), about.id)
            response.headers.update({**refused.headers, REQUEST_ID: about.id})
            about.log(response.status_code)
            await response(scope, receive, send)
        else:
            await self._answer(rpc, wire, request, send)

    async def _answer(self, rpc: Rpc, wire: Wire, request: Request, send: Send) -> None:
        """A line is written to the log here only for what reaches no servicer, which write their own."""
        about = RequestContext(wire.transport, rpc.name, request.headers.get(REQUEST_ID))
        call = HttpCall(wire, {**request.headers, REQUEST_ID: about.id}, send)
        logged = False
        try:
            call.expire_after(wire.timeout_s(request.headers))
            async with asyncio.timeout_at(call.deadline):
                message = await self._message(rpc, wire, request, about)
                logged = True
                answer = await unless_gone(request, rpc.answering[wire.transport](message, call))
            await call.end(answer=answer)
        except AbortedError as aborted:
            await call.end(aborted.status)
        except Exception as error:
            told = about.failed(_in_words(error))
            if not logged:
                about.log(STATUS[told.code].name)
            await call.end(to_status(told, about.id))

    async def _message(self, rpc: Rpc, wire: Wire, request: Request, about: RequestContext) -> Message:
        """What the caller says, once its key is known to be good. Raises ServiceError."""
        headers = request.headers
        about.caller = await self._keys.caller_of(headers.get("authorization", ""), headers.get("x-api-key", ""))
        check_form(rpc, wire, request)
        if request.method == "GET":
            return decode(message_in_query(request), rpc.request, wire.codec)
        body = await read_body(request, lambda size: self._policy.check_size(int(size / wire.growth) - MESSAGE_OVERHEAD))
        if len(body) < THREAD_FROM_BYTES:
            return decode(wire.unpacked(body), rpc.request, wire.codec)
        return await asyncio.to_thread(lambda: decode(wire.unpacked(body), rpc.request, wire.codec))


def _in_words(error: Exception) -> Exception:
    if isinstance(error, TimeoutError):
        return ServiceError(ErrorCode.DEADLINE_EXCEEDED, "the deadline passed before the answer was there")
    return error
