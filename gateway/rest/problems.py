"""Errors as RFC 9457 problem details: one table from ErrorCode to status, and the document."""

from typing import Any

import msgspec
from starlette.responses import Response

from gateway.service.errors import ErrorCode, ServiceError

MEDIA_TYPE = "application/problem+json"

STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.EMPTY_BODY: 400,
    ErrorCode.UNKNOWN_DOMAIN: 404,
    ErrorCode.UNKNOWN_EXAM: 400,
    ErrorCode.UNSUPPORTED_MEDIA: 415,
    ErrorCode.CORRUPT_MEDIA: 422,
    ErrorCode.MEDIA_TOO_LARGE: 413,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.INPUT_BREAKS_WORKER: 422,
    ErrorCode.PACKAGE_REFUSED: 422,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.GONE: 410,
    ErrorCode.EXPIRED: 410,
    ErrorCode.STORAGE_FULL: 507,
    ErrorCode.OVERLOADED: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.CANCELLED: 499,  # nginx's "client closed request"; nobody is left to read it, the log is
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.CLOUD_UNAVAILABLE: 503,
    ErrorCode.HELD_BACK: 422,
    ErrorCode.INTERNAL: 500,
}


def to_problem(error: ServiceError, request_id: str) -> dict[str, Any]:
    """The problem document of an error."""
    problem: dict[str, Any] = {
        "type": f"urn:hedgerow:error:{error.code.lower()}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": STATUS[error.code],
        "detail": str(error),
        "code": error.code,
        "request_id": request_id,
    }
    if error.parameter:
        problem["parameter"] = error.parameter
    if error.retry_after_s is not None:
        problem["retry_after_s"] = error.retry_after_s
    return problem


def close_code(error: ServiceError) -> int:
    """Why a WebSocket is closed: 4000 and the status of REST; 1011, the protocol's own, for what is no fault of the caller's
    (https://www.iana.org/assignments/websocket/).
    """
    return 1011 if error.code is ErrorCode.INTERNAL else 4000 + STATUS[error.code]


def headers_of(error: ServiceError) -> dict[str, str]:
    """When to ask again, and how to say who asks, where the error is about that."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="hedgerow"'
    return headers


def to_response(error: ServiceError, request_id: str) -> Response:
    """The answer that carries it."""
    body = msgspec.json.encode(to_problem(error, request_id))
    return Response(body, STATUS[error.code], headers_of(error), MEDIA_TYPE)
