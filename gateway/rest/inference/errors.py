"""Errors as the protocol wants them: `{"error": "..."}`, which its clients decode, with the code and the request's id beside it."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from gateway.rest.calls import context_of
from gateway.rest.problems import STATUS, headers_of
from gateway.service.errors import ServiceError

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def to_response(error: ServiceError, request_id: str) -> Response:
    """The answer that carries it."""
    told = f"{error.parameter}: {error}" if error.parameter else str(error)
    body = msgspec.json.encode({"error": told, "code": error.code, "request_id": request_id})
    return Response(body, STATUS[error.code], headers_of(error), "application/json")


class InferenceRoute(APIRoute):
    """A route whose errors are the protocol's."""

    def get_route_handler(self) -> Handler:
        return telling_errors(super().get_route_handler())


def telling_errors(handler: Handler) -> Handler:
    """A handler that answers what it raises as the protocol has it."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            context = context_of(request)
            return to_response(context.failed(error), context.id)

    return answer
