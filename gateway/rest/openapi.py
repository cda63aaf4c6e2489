"""What OpenAPI says beyond the types: bodies, errors, examples, pictures, keys."""

from typing import Any

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPBearer

from gateway.rest.schemas import Problem

DESCRIPTION = """Pictures and clips in, explained answers out, for the clinic and the field. **Research use only: no answer is a
diagnosis.**

Every path under /v1 needs an API key: `Authorization: Bearer KEY`. Errors are problem details (RFC 9457) with a stable
`code` and the `request_id` that finds the request in the log; `X-Request-ID` is taken from the caller where one is sent.

**Nothing accepted is lost.** With the header `Idempotency-Key` a request can be sent again without being answered twice;
with `Prefer: respond-async` it is accepted as a job, whose result is fetched, followed as events, or sent to a callback.

**Live streams** go over WebSocket, which OpenAPI can't describe: `/v1/domains/{domain}/stream` takes frames or an encoded
stream and gives each frame's result and a verdict that moves with them; docs/streams.md has the protocol.
"""

BINARY = {"schema": {"type": "string", "format": "binary"}}
SECURITY = [
    Security(HTTPBearer(scheme_name="bearer", auto_error=False, description="An API key; `hedgerow keys create` makes one.")),
    Security(APIKeyHeader(name="X-API-Key", scheme_name="key", auto_error=False, description="The same in a header of its own.")),
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a path may answer."""
    return {status: {"model": Problem, **problem(status)} for status in sorted(statuses)}


def problem(status: int) -> dict[str, Any]:
    """The error of that status."""
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _MEANING[status], "content": body}


def events(*names: str) -> dict[str, Any]:
    """The content of server-sent events: the schema is that of one of them, as tools read it."""
    return {"text/event-stream": {"schema": {
        "type": "object",
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "enum": list(names)},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
    }}}


_MEANING = {
    400: "An argument is missing or wrong",
    401: "No valid API key",
    403: "The key lacks a scope",
    404: "Not found",
    409: "The present state doesn't allow it",
    410: "No longer kept, or no longer wanted",
    413: "Larger than the limits allow",
    415: "Not a format that is read here",
    422: "The content is broken, or the key was used for another",
    500: "An internal error",
    503: "Overloaded or not ready; Retry-After says when to come back",
    504: "The deadline passed",
    507: "The disk takes no more; Retry-After says when to come back",
}

KEYED: dict[str, Any] = {"dependencies": SECURITY, "responses": problems(400, 401, 403, 404)}

REPLAYED: dict[str, Any] = {
    "description": "`true` where the key was known: this is what the earlier request gave", "schema": {"type": "string"}
}

ACCEPTED: dict[str, Any] = {
    "description": "Accepted: the job, which will give the answer",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
    "headers": {
        "Location": {"description": "The job's path", "schema": {"type": "string"}},
        "Retry-After": {"description": "When to ask for it, in seconds", "schema": {"type": "integer"}},
        "Preference-Applied": {"description": "What was preferred and is heeded", "schema": {"type": "string"}},
        "Idempotent-Replayed": REPLAYED,
    },
}

KEY_PATTERN = r"""^(?!")[!-~]([ -~]{0,253}[!-~])?$"""
TIMEOUT: dict[str, Any] = {
    "name": "Request-Timeout", "in": "header", "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0}, "example": 5,
    "description": "Deadline in seconds, from when the request's body is there. It goes along to the device: what isn't done "
    "by then is stopped, and the answer is 504. Without it the gateway's own holds; more than ten times that is cut to it",
}

KEY: dict[str, Any] = {
    "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "pattern": KEY_PATTERN},
    "description": "The caller's own name for this request, 1 to 255 printable ASCII characters, quoted or bare: sent again "
    "it gives the same answer, and another request under it is refused",
}


CONSENT: dict[str, Any] = {
    "name": "Hedgerow-Consent", "in": "header", "required": False,
    "schema": {"type": "string", "pattern": "^(cloud|learning)(, ?(cloud|learning))*$"}, "example": "cloud, learning",
    "description": "What may happen with the file beyond its answer: `cloud` (it may leave for the cloud, de-identified), "
    "`learning` (it may be kept to learn from); both need the tenant's leave as well",
}


def job_fields(priority: str) -> list[dict[str, Any]]:
    """What is said among the parameters of what becomes of a job; `priority` is the usual one."""
    return [
        {
            "name": "callback_url", "in": "query", "required": False, "schema": {"type": "string", "format": "uri"},
            "description": "Where the result is sent as well, once it is there: it makes the request a job",
        },
        {
            "name": "expires_s", "in": "query", "required": False,
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 31622400},
            "description": "Jobs only: after so many seconds the answer is no longer wanted",
        },
        {
            "name": "priority", "in": "query", "required": False,
            "schema": {"type": "string", "enum": ["interactive", "batch"], "default": priority},
            "description": "Jobs only: whether somebody waits for it",
        },
    ]


ANALYZE: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": {
        **problems(400, 401, 403, 404, 409, 410, 413, 415, 422, 500, 503, 504, 507),
        200: {
            "description": "Asked for with `Accept: text/event-stream`: events `progress`, then `analysis` (as in 201) or "
            "`error` (a problem document)",
            "content": events("progress", "analysis", "error"),
        },
        201: {
            "description": "The answer, stored",
            "headers": {
                "Location": {"description": "The answer's path", "schema": {"type": "string"}},
                "Server-Timing": {
                    "description": "Milliseconds of queue, decode, preprocess, infer, postprocess and total",
                    "schema": {"type": "string"},
                },
                "Idempotent-Replayed": REPLAYED,
            },
        },
        202: ACCEPTED,
    },
    "openapi_extra": {
        "parameters": [
            {
                "name": "parameters", "in": "query", "required": False, "style": "form", "explode": True,
                "schema": {"type": "object", "additionalProperties": True},
                "description": "The domain's parameters, each by its name; GET /v1/domains lists them",
                "example": {"exam": "lung_ultrasound"},
            },
            TIMEOUT,
            {
                "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"},
                "description": "`respond-async` makes it a job; with `wait=SECONDS` the answer is waited for so long",
                "example": "respond-async, wait=10",
            },
            KEY,
            CONSENT,
            *job_fields("interactive"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/jpeg": BINARY,
                "image/png": BINARY,
                "application/dicom": BINARY,
                "video/mp4": BINARY,
                "application/octet-stream": BINARY,
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "parameters": {"type": "string", "description": "A JSON object"},
                            "callback_url": {"type": "string", "format": "uri"},
                            "expires_s": {"type": "number"},
                            "priority": {"type": "string", "enum": ["interactive", "batch"]},
                        },
                    },
                    "encoding": {"parameters": {"contentType": "application/json"}},
                    "example": {"parameters": '{"exam": "lung_ultrasound"}'},
                },
            },
        },
    },
}

MANAGED: dict[str, Any] = {"dependencies": SECURITY, "responses": problems(400, 401, 403, 404, 409, 415, 422, 503)}

INSTALL: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": {
        **problems(400, 401, 403, 413, 422, 503),
        201: {
            "description": "The package, kept",
            "headers": {"Location": {"description": "The model's path", "schema": {"type": "string"}}},
        },
    },
    "openapi_extra": {"requestBody": {"required": True, "content": {"application/zip": BINARY}}},
}

ARTIFACT: dict[str, Any] = {
    "dependencies": SECURITY,
    "responses": {
        **problems(400, 401, 403, 404, 410, 503, 504),
        200: {"description": "A PNG", "content": {"image/png": BINARY}},
    },
    "openapi_extra": {"parameters": [TIMEOUT]},
}
