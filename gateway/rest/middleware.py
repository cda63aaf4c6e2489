"""Around every REST request and every live stream: its id in and out, errors as problem details, and the line in the log."""

import asyncio
import contextlib

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from gateway.rest.problems import close_code, to_problem, to_response
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.requests import RequestContext

REQUEST_ID = "X-Request-ID"
TELL_S = 5.0
"""How long a caller who reads nothing may hold up the words in which its stream's end is told."""
_QUIET = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
_POLLED = {"/v1/nodes"}
"""The status page asks this each second: only what goes wrong there is logged."""


class RequestMiddleware:
    """Outermost: whatever an endpoint raises ends here, so that no exception's text reaches a caller or the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connection(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = _context(scope, "rest", scope["method"])
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = context.id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            context.error = ErrorCode.CANCELLED
            raise
        except Exception as error:
            told = context.failed(error)
            if not status:
                await to_response(told, context.id)(scope, receive, send_with_id)
        finally:
            if scope["path"] not in _QUIET and not (scope["path"] in _POLLED and status == 200):
                context.log(status or ErrorCode.CANCELLED)

    async def _connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = _context(scope, "websocket", "STREAM")
        codes: list[int] = []  # why the connection was closed; that of the side which closed it comes first

        async def noting(message: Message) -> None:
            if message["type"] == "websocket.accept":
                MutableHeaders(scope=message)[REQUEST_ID] = context.id
            elif message["type"] == "websocket.close":
                codes.append(message.get("code", 1000))
            await send(message)

        async def receive_noting() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                codes.append(message.get("code", 1005))
            return message

        try:
            await self._app(scope, receive_noting, noting)
        except asyncio.CancelledError:
            context.error = ErrorCode.CANCELLED
            raise
        except WebSocketDisconnect:
            context.error = ErrorCode.CANCELLED
        except Exception as error:
            await _tell(context.failed(error), context.id, noting)
        finally:
            context.log(codes[0] if codes else ErrorCode.CANCELLED)


def no_route(path_known: bool) -> ServiceError:
    """What a caller of a path or method that isn't there is told."""
    if path_known:
        return ServiceError(ErrorCode.METHOD_NOT_ALLOWED, "this path doesn't take that method")
    return ServiceError(ErrorCode.NOT_FOUND, "there is nothing at this path; /docs shows what there is")


def _context(scope: Scope, transport: str, verb: str) -> RequestContext:
    context = RequestContext(transport, f"{verb} {scope['path']}", Headers(scope=scope).get(REQUEST_ID))
    scope.setdefault("state", {})["context"] = context
    return context


async def _tell(error: ServiceError, request_id: str, send: Send) -> None:
    """A stream's last words. Whoever is gone, or doesn't read, misses them."""
    text = msgspec.json.encode({"type": "error", "problem": to_problem(error, request_id)}).decode()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TELL_S):
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.close", "code": close_code(error), "reason": error.code})
