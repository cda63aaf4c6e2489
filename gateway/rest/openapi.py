"""What OpenAPI says beyond the types: bodies, errors, examples, pictures, keys."""

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer

from gateway.rest.schemas import Problem

DESCRIPTION = """Pictures and clips in, explained answers out, for the clinic and the field. **Research use only: no answer is a
diagnosis.**

Every path under /v1 needs an API key: `Authorization: Bearer KEY`. Errors are problem details (RFC 9457) with a stable
`code` and the `request_id` that finds the request in the log; `X-Request-ID` is taken from the caller where one is sent.

**Live streams** go over WebSocket, which OpenAPI can't describe: `/v1/domains/{domain}/stream` takes frames or an encoded
stream and gives each frame's result and a verdict that moves with them; docs/streams.md has the protocol.
"""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SECURITY = [Security(HTTPBearer(auto_error=False, description="An API key; `hedgerow keys create` makes one."))]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"model": Problem, "description": _MEANING[status], "content": body} for status in sorted(statuses)
    }


_MEANING = {
    400: "An argument is missing or wrong",
    401: "No valid API key",
    403: "The key lacks a scope",
    404: "Not found",
    410: "The pictures are no longer kept",
    413: "Larger than the limits allow",
    415: "Not a format that is read here",
    422: "The content is broken",
    503: "Overloaded or not ready; Retry-After says when to come back",
    504: "The deadline passed",
}

KEYED: dict[str, Any] = {"dependencies": _SECURITY, "responses": _problems(400, 401, 403, 404)}

ANALYZE: dict[str, Any] = {
    "dependencies": _SECURITY,
    "responses": {
        **_problems(400, 401, 403, 404, 413, 415, 422, 503, 504),
        200: {
            "description": "Asked for with `Accept: text/event-stream`: events `progress`, then `analysis` (as in 201) or "
            "`error` (a problem document)",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        201: {
            "description": "The answer, stored",
            "headers": {
                "Location": {"description": "The answer's path", "schema": {"type": "string"}},
                "Server-Timing": {
                    "description": "Milliseconds of queue, decode, preprocess, infer, postprocess and total",
                    "schema": {"type": "string"},
                },
            },
        },
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "parameters", "in": "query", "required": False, "style": "form", "explode": True,
                "schema": {"type": "object", "additionalProperties": True},
                "description": "The domain's parameters, each by its name; GET /v1/domains lists them",
                "example": {"exam": "lung_ultrasound"},
            },
            {
                "name": "Request-Timeout", "in": "header", "required": False,
                "schema": {"type": "number", "exclusiveMinimum": 0}, "description": "Deadline in seconds",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/jpeg": _BINARY,
                "image/png": _BINARY,
                "application/dicom": _BINARY,
                "video/mp4": _BINARY,
                "application/octet-stream": _BINARY,
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "parameters": {"type": "string", "description": "A JSON object"},
                        },
                    },
                    "encoding": {"parameters": {"contentType": "application/json"}},
                    "example": {"parameters": '{"exam": "lung_ultrasound"}'},
                },
            },
        },
    },
}

MANAGED: dict[str, Any] = {"dependencies": _SECURITY, "responses": _problems(400, 401, 403, 404, 422, 503)}

INSTALL: dict[str, Any] = {
    "dependencies": _SECURITY,
    "responses": {
        **_problems(400, 401, 403, 413, 422, 503),
        201: {
            "description": "The package, kept",
            "headers": {"Location": {"description": "The model's path", "schema": {"type": "string"}}},
        },
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {"application/zip": _BINARY}}},
}

ARTIFACT: dict[str, Any] = {
    "dependencies": _SECURITY,
    "responses": {
        **_problems(401, 403, 404, 410, 503, 504),
        200: {"description": "A PNG", "content": {"image/png": _BINARY}},
    },
}

KEY_FRAME: dict[str, Any] = ARTIFACT | {"responses": ARTIFACT["responses"] | _problems(400)}
