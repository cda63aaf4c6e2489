"""The paths of /v1: each converts a request, calls the service, and converts what comes back."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gateway.rest import schemas
from gateway.rest.body import read_upload
from gateway.rest.documents import (
    analysis_to_json,
    domain_to_json,
    model_to_json,
    node_to_json,
    page_to_json,
    path_of,
    server_timing,
)
from gateway.rest.openapi import ANALYZE, ARTIFACT, KEY_FRAME, KEYED
from gateway.rest.progress import follow, unless_gone, wants_events
from gateway.rest.stream import stream
from gateway.service.analyses import KEY_FRAME_PICTURE, AnalysisService
from gateway.service.clips import Progress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller, KeyService
from gateway.service.records import Analysis, AnalysisFilter
from gateway.service.requests import RequestContext

TIMEOUT = "Request-Timeout"

router = APIRouter(prefix="/v1")


@router.post("/domains/{domain}/analyses", response_model=schemas.Analysis, status_code=201, tags=["analyses"], **ANALYZE)
async def analyze(request: Request, domain: str) -> Response:
    """Analyses one picture or clip and gives the whole, stored answer.

    Send the file's bytes as the body, with the domain's parameters in the query; or multipart/form-data with the part
    `file` and, as a JSON object, the part `parameters`. The format is read from the bytes: JPEG, PNG, WebP, TIFF, BMP,
    HEIC, PNM or DICOM, or a clip: MP4, MOV, AVI, WebM, GIF, MPEG or multi-frame DICOM. The header `Request-Timeout`
    (seconds) sets a deadline.

    With `Accept: text/event-stream` the answer is a stream of events: `progress` while a clip runs, then `analysis` or
    `error`. What goes wrong before any progress has its own status all the same.
    """
    service, context = _service(request), _context(request)
    caller = await _caller(request)
    service.admit(caller, domain)
    timeout_s = _timeout(request)
    payload, parameters = await read_upload(request, service.policy)

    def analysing(on_progress: Callable[[Progress], None] | None = None) -> Coroutine[Any, Any, Analysis]:
        return service.analyse(
            caller, domain, payload, parameters,
            request_id=context.id, timeout_s=timeout_s, on_progress=on_progress,
        )

    if wants_events(request):
        return await follow(request, context, analysing)
    analysis = await unless_gone(request, analysing())
    context.analysis_id = analysis.id
    headers = {"Location": path_of(analysis.id), "Server-Timing": server_timing(analysis)}
    return _json(analysis_to_json(analysis), 201, headers)


@router.get("/analyses", response_model=schemas.AnalysisPage, tags=["analyses"], **KEYED)
async def list_analyses(
    request: Request,
    domain: str | None = None,
    model: str | None = None,
    label: str | None = None,
    abstained: bool | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    cursor: str | None = None,
    limit: int = Query(50, description="At most 200."),
) -> Response:
    """Stored answers of the key's tenant, newest first."""
    chosen = AnalysisFilter(
        domain, model, label, abstained, _aware(created_after, "created_after"), _aware(created_before, "created_before")
    )
    page = await _service(request).page(await _caller(request), chosen, cursor=cursor, limit=limit)
    return _json(page_to_json(page))


@router.get("/analyses/{analysis_id}", response_model=schemas.Analysis, tags=["analyses"], **KEYED)
async def get_analysis(request: Request, analysis_id: str) -> Response:
    """One stored answer of the key's tenant."""
    return _json(analysis_to_json(await _service(request).get(await _caller(request), analysis_id)))


@router.delete("/analyses/{analysis_id}", status_code=204, response_class=Response, tags=["analyses"], **KEYED)
async def delete_analysis(request: Request, analysis_id: str) -> Response:
    """Removes an answer and its pictures for good. Needs the scope `admin`."""
    await _service(request).delete(await _caller(request), analysis_id)
    return Response(status_code=204)


@router.get("/analyses/{analysis_id}/overlay.png", tags=["pictures"], **ARTIFACT)
async def overlay(request: Request, analysis_id: str) -> Response:
    """The picture with the result drawn over it."""
    return await _artifact(request, analysis_id, "overlay.png")


@router.get("/analyses/{analysis_id}/mask.png", tags=["pictures"], **ARTIFACT)
async def mask(request: Request, analysis_id: str) -> Response:
    """Segmentations: the class map; pixel values are class indices, the palette gives them colours."""
    return await _artifact(request, analysis_id, "mask.png")


@router.get("/analyses/{analysis_id}/heatmap.png", tags=["pictures"], **ARTIFACT)
async def heatmap(request: Request, analysis_id: str) -> Response:
    """Classifications: evidence for the leading label, 0 to 255, at the picture's size."""
    return await _artifact(request, analysis_id, "heatmap.png")


@router.get("/analyses/{analysis_id}/key_frames/{number}.png", tags=["pictures"], **KEY_FRAME)
async def key_frame(request: Request, analysis_id: str, number: int) -> Response:
    """Clips and streams: a key frame, 1 being the best, with its own result drawn over it."""
    return await _artifact(request, analysis_id, KEY_FRAME_PICTURE, key_frame=number)


router.websocket("/domains/{domain}/stream")(stream)


@router.get("/domains", response_model=schemas.Domains, tags=["catalogue"], **KEYED)
async def list_domains(request: Request) -> Response:
    """The domains, with what callers may say to each."""
    await _caller(request)
    return _json({"domains": [domain_to_json(domain) for domain in _service(request).domains()]})


@router.get("/models", response_model=schemas.Models, tags=["catalogue"], **KEYED)
async def list_models(request: Request) -> Response:
    """The model packages, with their state and measured figures."""
    await _caller(request)
    return _json({"models": [model_to_json(model) for model in _service(request).models()]})


@router.get("/nodes", response_model=schemas.Nodes, tags=["nodes"], **KEYED)
async def list_nodes(request: Request) -> Response:
    """The nodes that run models, with their devices as they are now. Needs the scope `nodes` or `admin`."""
    nodes = _service(request).nodes(await _caller(request))
    return _json({"nodes": [node_to_json(node) for node in nodes]}, headers={"Cache-Control": "no-store"})


async def _artifact(request: Request, analysis_id: str, name: str, *, key_frame: int = 1) -> Response:
    png = await _service(request).artifact(await _caller(request), analysis_id, name, key_frame=key_frame)
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, no-store"})


def _service(request: Request) -> AnalysisService:
    service: AnalysisService = request.app.state.service
    return service


def _context(request: Request) -> RequestContext:
    context: RequestContext = request.state.context
    return context


async def _caller(request: Request) -> Caller:
    keys: KeyService = request.app.state.keys
    caller = await keys.caller_of(request.headers.get("authorization", ""), request.headers.get("x-api-key", ""))
    _context(request).caller = caller
    return caller


def _timeout(request: Request) -> float | None:
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


def _aware(time: datetime | None, name: str) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the time lacks its zone, such as a 'Z' at its end", parameter=name)
    return time


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")
