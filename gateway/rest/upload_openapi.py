"""What OpenAPI says of uploads beyond the types: tus's headers and statuses."""

from typing import Any

from gateway.rest.openapi import CONSENT, KEYED
from gateway.rest.schemas import Problem

_TEXT, _COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
_BYTES = {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_MEANING = {
    400: "A header is missing or wrong",
    401: "No valid API key",
    403: "The key lacks a scope",
    404: "There is no upload of that id",
    409: "The upload stands elsewhere: ask with HEAD, and go on from there",
    410: "The upload was ended or is past its time: begin a new one",
    412: "Another version of tus",
    413: "More bytes than announced, or than the limits allow",
    415: "Not application/offset+octet-stream",
    422: "The idempotency key was used for something else",
    423: "Another request works on the upload",
    460: "The checksum doesn't fit: these bytes are not kept",
    503: "No room for a further upload or job; Retry-After says when to come back",
    504: "No byte came for too long; what had come is kept",
    507: "The disk is full; Retry-After says when to come back",
}
_HEADERS = {
    "Location": ("The upload's address, relative to that of the request", _TEXT),
    "Upload-Offset": ("How many bytes have arrived and are safe", _COUNT),
    "Upload-Length": ("How many there will be", _COUNT),
    "Upload-Metadata": ("What is kept of it", _TEXT),
    "Upload-Expires": ("When an upload that isn't finished is forgotten", _TEXT),
    "Hedgerow-Job": ("The job's path, once all bytes are there", _TEXT),
}


def _operation(
    success: int, meaning: str, headers: tuple[str, ...], problems: tuple[int, ...], parameters: list[dict[str, Any]],
    *, body: bool = False,
) -> dict[str, Any]:
    told = {name: {"description": _HEADERS[name][0], "schema": _HEADERS[name][1]} for name in headers}
    refusals = {
        status: {"model": Problem, "description": _MEANING[status], "content": _PROBLEM}
        for status in sorted((401, 403, 404, 412, *problems))
    }
    extra: dict[str, Any] = {"parameters": [_parameter("Tus-Resumable", {"enum": ["1.0.0"]}, required=True), *parameters]}
    if body:
        extra["requestBody"] = {"required": False, "content": _BYTES}
    return {
        "dependencies": KEYED["dependencies"],
        "responses": {success: {"description": meaning, "headers": told}, **refusals},
        "openapi_extra": extra,
    }


def _parameter(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": schema}


_OFFSET = _parameter("Upload-Offset", _COUNT, required=True)
_CHECKSUM = _parameter("Upload-Checksum", {
    **_TEXT, "pattern": "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$",
    "example": "sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
})
_CREATION = [
    _parameter("Upload-Length", _COUNT, required=True),
    _parameter("Upload-Metadata", {**_TEXT, "example": "domain cGF0aG9sb2d5"}, required=True),
    _CHECKSUM,
    CONSENT,
]

CREATE = _operation(
    201, "Begun", ("Location", "Upload-Offset", "Upload-Expires", "Hedgerow-Job"), (400, 413, 415, 422, 423, 460, 503, 504, 507),
    _CREATION, body=True,
)
LOOK = _operation(
    200, "How far it is", ("Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires", "Hedgerow-Job"),
    (410, 422, 423, 503, 507), [],
)
APPEND = _operation(
    204, "Arrived", ("Upload-Offset", "Upload-Expires", "Hedgerow-Job"), (400, 409, 410, 413, 415, 422, 423, 460, 503, 504, 507),
    [_OFFSET, _CHECKSUM], body=True,
)
END = _operation(204, "Forgotten", (), (410, 423), [])
