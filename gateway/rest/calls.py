"""What every path does with its request: who asks, and what the log is told of it."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller, KeyService
from gateway.service.requests import RequestContext

TIMEOUT = "Request-Timeout"


def context_of(request: Request) -> RequestContext:
    """The request as the log sees it."""
    context: RequestContext = request.state.context
    return context


async def caller_of(request: Request) -> Caller:
    """Who asks. Raises UNAUTHENTICATED."""
    keys: KeyService = request.app.state.keys
    caller = await keys.caller_of(request.headers.get("authorization", ""), request.headers.get("x-api-key", ""))
    context_of(request).caller = caller
    return caller


def timeout_of(request: Request) -> float | None:
    """The deadline in seconds, where the caller names one. Raises INVALID_ARGUMENT."""
    text = request.headers.get(TIMEOUT)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"{TIMEOUT} is no positive number of seconds", parameter=TIMEOUT)
    return seconds


def as_json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")
