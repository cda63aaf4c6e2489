"""Resumable uploads over tus 1.0.0 (https://tus.io/protocols/resumable-upload), at /v1/uploads: each path converts a request,
calls the service, and converts what comes back. docs/uploads.md says what is offered.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from email.utils import format_datetime
from functools import wraps
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.rest.calls import caller_of, context_of
from gateway.rest.consent import consents_of
from gateway.rest.documents import job_path
from gateway.rest.middleware import no_route
from gateway.rest.problems import to_problem, to_response
from gateway.rest.tus import (
    ALGORITHMS,
    EXTENSIONS,
    OFFSET_STREAM,
    VERSION,
    WrongVersion,
    checksum_of,
    metadata_of,
    metadata_to_header,
    number_of,
)
from gateway.rest.upload_openapi import APPEND, CREATE, END, LOOK
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller
from gateway.service.uploads.intake import ChecksumMismatch, Piece
from gateway.service.uploads.records import Upload, UploadState
from gateway.service.uploads.service import NewUpload, UploadService
from gateway.service.uploads.turns import UploadLocked

RESUMABLE = "Tus-Resumable"
_NO_STORE = {"Cache-Control": "no-store"}
_STATUS: dict[type[Exception], int] = {WrongVersion: 412, UploadLocked: 423, ChecksumMismatch: 460}
"""tus tells some errors apart that share a code."""
Endpoint = Callable[..., Coroutine[Any, Any, Response]]

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


def _tus(endpoint: Endpoint) -> Endpoint:
    """Each answer says which version it speaks, errors too; and each request must speak it."""

    @wraps(endpoint)
    async def answer(request: Request, **path: str) -> Response:
        try:
            if request.headers.get(RESUMABLE) != VERSION:
                raise WrongVersion
            response = await endpoint(request, **path)
        except Exception as error:
            response = _refusal(request, error)
        response.headers[RESUMABLE] = VERSION
        return response

    return answer


@router.options("", include_in_schema=False)
@router.options("/", include_in_schema=False)
@router.options("/{upload_id}", include_in_schema=False)
async def discover(request: Request) -> Response:
    """What is spoken here. Needs no key."""
    return Response(status_code=204, headers={
        RESUMABLE: VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(_uploads(request).limits.max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    })


@router.post("", status_code=201, response_class=Response, **CREATE)
@router.post("/", include_in_schema=False)
@_tus
async def create_upload(request: Request) -> Response:
    """Begins an upload of `Upload-Length` bytes, which becomes a job when all of them are there.

    `Upload-Metadata` names the `domain`, and may hold `parameters` (a JSON object), `idempotency_key` and `callback_url`, each
    in base64. A body of the type `application/offset+octet-stream` is the upload's beginning.
    """
    caller, headers = await caller_of(request), request.headers
    for name in ("Upload-Defer-Length", "Upload-Concat"):
        if name in headers:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"{name} is not offered here", parameter=name)
    size_bytes = number_of(headers.get("Upload-Length"), "Upload-Length")
    metadata = metadata_of(headers.getlist("Upload-Metadata"))
    has_body = _content_length(request) != 0
    if has_body:
        _check_type(request)
    upload = await _uploads(request).create(caller, NewUpload(
        metadata.domain, size_bytes, context_of(request).id, metadata.parameters, metadata.key, metadata.callback_url,
        consents_of(request),
    ))
    location = upload.id if request.url.path.endswith("/") else f"uploads/{upload.id}"
    if has_body:
        upload = await _begin(request, caller, upload)
    return Response(status_code=201, headers={"Location": location, **_state(upload)})


@router.head("/{upload_id}", response_class=Response, **LOOK)
@_tus
async def get_upload(request: Request, upload_id: str) -> Response:
    """How many bytes have arrived and are safe: go on from there. `Hedgerow-Job` is there once all have."""
    return await _look(request, upload_id)


@router.patch("/{upload_id}", status_code=204, response_class=Response, **APPEND)
@_tus
async def append_upload(request: Request, upload_id: str) -> Response:
    """Brings bytes from `Upload-Offset` on. All that arrive are kept, also where the connection breaks in between.

    With `Upload-Checksum` they count once all of this request have arrived and are whole, and not before. The answer to the
    last bytes has the job in `Hedgerow-Job`.
    """
    return await _append(request, upload_id)


@router.delete("/{upload_id}", status_code=204, response_class=Response, **END)
@_tus
async def delete_upload(request: Request, upload_id: str) -> Response:
    """Forgets an upload and its bytes. A job that it became lives on."""
    return await _end(request, upload_id)


@router.post("/{upload_id}", include_in_schema=False)
@_tus
async def override(request: Request, upload_id: str) -> Response:
    """For callers that can send no other method: `X-HTTP-Method-Override` names the one that is meant."""
    meant = request.headers.get("X-HTTP-Method-Override", "").upper()
    methods = {"PATCH": _append, "DELETE": _end, "HEAD": _look}
    if meant not in methods:
        raise no_route(path_known=True)
    return await methods[meant](request, upload_id)


async def _look(request: Request, upload_id: str) -> Response:
    upload = await _uploads(request).get(await caller_of(request), upload_id)
    return Response(headers=_NO_STORE | _state(upload) | {
        "Upload-Length": str(upload.size_bytes), "Upload-Metadata": metadata_to_header(upload),
    })


async def _append(request: Request, upload_id: str) -> Response:
    caller = await caller_of(request)
    _check_type(request)
    offset = number_of(request.headers.get("Upload-Offset"), "Upload-Offset")
    return Response(status_code=204, headers=_state(
        await _uploads(request).append(caller, upload_id, _piece(request, offset))
    ))


async def _end(request: Request, upload_id: str) -> Response:
    await _uploads(request).end(await caller_of(request), upload_id)
    return Response(status_code=204)


async def _begin(request: Request, caller: Caller, upload: Upload) -> Upload:
    """The bytes that come with the creation. Without an answer nobody knows the upload, so it isn't kept where they fail."""
    uploads = _uploads(request)
    try:
        return await uploads.append(caller, upload.id, _piece(request, 0))
    except BaseException:
        with suppress(ServiceError):
            await uploads.end(caller, upload.id)
        raise


def _piece(request: Request, offset: int) -> Piece:
    return Piece(
        offset, _chunks(request), _content_length(request), checksum_of(request.headers.get("Upload-Checksum"))
    )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise ServiceError(ErrorCode.CANCELLED, "the connection broke before all of the body was there") from error


def _state(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset)}
    if upload.state is UploadState.COMPLETE:
        return headers | {"Hedgerow-Job": job_path(str(upload.job_id))}
    return headers | {"Upload-Expires": format_datetime(upload.expires_at, usegmt=True)}


def _check_type(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != OFFSET_STREAM:
        raise ServiceError(ErrorCode.UNSUPPORTED_MEDIA, f"send the bytes with Content-Type: {OFFSET_STREAM}")


def _content_length(request: Request) -> int | None:
    """None where the body comes in chunks of HTTP's own, whose sum is not told."""
    if "transfer-encoding" in request.headers:
        return None
    return number_of(request.headers.get("content-length", "0"), "Content-Length")


def _refusal(request: Request, error: Exception) -> Response:
    context = context_of(request)
    told = context.failed(error)
    response = to_response(told, context.id)
    if (status := _STATUS.get(type(error))) is not None:
        response.status_code = status
        response.body = msgspec.json.encode(to_problem(told, context.id) | {"status": status})
        response.headers["Content-Length"] = str(len(response.body))
    if isinstance(error, WrongVersion):
        response.headers["Tus-Version"] = VERSION
    if told.code is ErrorCode.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "DELETE, HEAD, OPTIONS, PATCH"
    return response


def _uploads(request: Request) -> UploadService:
    uploads: UploadService = request.app.state.uploads
    return uploads
