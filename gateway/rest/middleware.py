"""Around every REST request: its id in and out, errors as problem details, and the line in the log."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.rest.problems import to_response
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.requests import RequestContext

REQUEST_ID = "X-Request-ID"
_QUIET = {"/healthz", "/readyz"}
_POLLED = {"/v1/nodes"}
"""The status page asks this each second: only what goes wrong there is logged."""


class RequestMiddleware:
    """Outermost: whatever an endpoint raises ends here, so that no exception's text reaches a caller or the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext("rest", f"{scope['method']} {scope['path']}", Headers(scope=scope).get(REQUEST_ID))
        scope.setdefault("state", {})["context"] = context
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


def no_route(path_known: bool) -> ServiceError:
    """What a caller of a path or method that isn't there is told."""
    if path_known:
        return ServiceError(ErrorCode.METHOD_NOT_ALLOWED, "this path doesn't take that method")
    return ServiceError(ErrorCode.NOT_FOUND, "there is nothing at this path; /docs shows what there is")
