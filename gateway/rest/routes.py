"""The paths of /v1: each converts a request, calls the service, and converts what comes back."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from gateway.http import unless_gone
from gateway.rest import schemas
from gateway.rest.body import read_upload
from gateway.rest.calls import as_json, caller_of, context_of, timeout_of
from gateway.rest.consent import consents_of
from gateway.rest.documents import (
    analysis_to_json,
    domain_to_json,
    model_to_json,
    node_to_json,
    page_to_json,
    path_of,
    server_timing,
)
from gateway.rest.jobs import analyze_as_job, desk_of, goes_on
from gateway.rest.openapi import ANALYZE, ARTIFACT, KEYED
from gateway.rest.progress import follow, wants_events
from gateway.rest.query import Cursor, Limit, Moment, Text
from gateway.rest.stream import stream
from gateway.service.analyses import KEY_FRAME_PICTURE, AnalysisService
from gateway.service.clips import Progress
from gateway.service.jobs.orders import StillOpen
from gateway.service.records import Analysis, AnalysisFilter

router = APIRouter(prefix="/v1")


@router.post("/domains/{domain}/analyses", response_model=schemas.Analysis, status_code=201, tags=["analyses"], **ANALYZE)
async def analyze(request: Request, domain: str) -> Response:
    """Analyses one picture or clip and gives the whole, stored answer.

    Send the file's bytes as the body, with the domain's parameters in the query; or multipart/form-data with the part
    `file` and, as a JSON object, the part `parameters`. The format is read from the bytes: JPEG, PNG, WebP, TIFF, BMP,
    HEIC, PNM or DICOM, or a clip: MP4, MOV, AVI, WebM, GIF, MPEG or multi-frame DICOM. The header `Request-Timeout`
    (seconds) sets a deadline.

    With `Prefer: respond-async` the answer is a job, at once (202); with `respond-async, wait=SECONDS` it is waited for so
    long. With an `Idempotency-Key` it is waited for until the deadline, and where that passes first, the job is the answer.
    The job goes on whatever becomes of this call; docs/jobs.md has more. So does a request that can't be answered in the
    usual time: unless it names a `Request-Timeout` of its own, it becomes a job (202).

    With `Accept: text/event-stream` the answer is a stream of events: `progress` while a clip runs, then `analysis` or
    `error`. What goes wrong before any progress has its own status all the same.
    """
    service, context = _service(request), context_of(request)
    caller = await caller_of(request)
    service.admit(caller, domain)
    timeout_s, consents = timeout_of(request), consents_of(request)
    payload, parameters = await read_upload(request, service.policy)
    if answer := await analyze_as_job(request, caller, domain, payload, parameters):
        return answer

    def analysing(on_progress: Callable[[Progress], None] | None = None) -> Coroutine[Any, Any, Analysis]:
        return desk_of(request).analyse(
            caller, domain, payload, parameters,
            request_id=context.id, timeout_s=timeout_s, consents=consents, on_progress=on_progress,
        )

    try:
        if wants_events(request):
            return await follow(request, context, analysing)
        analysis = await unless_gone(request, analysing())
    except StillOpen as error:
        return await goes_on(request, caller, error)
    context.analysis_id = analysis.id
    headers = {"Location": path_of(analysis.id), "Server-Timing": server_timing(analysis)}
    return as_json(analysis_to_json(analysis), 201, headers)


@router.get("/analyses", response_model=schemas.AnalysisPage, tags=["analyses"], **KEYED)
async def list_analyses(
    request: Request,
    domain: Text = None,
    model: Text = None,
    label: Text = None,
    abstained: bool | SkipJsonSchema[None] = None,
    created_after: Moment = None,
    created_before: Moment = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Stored answers of the key's tenant, newest first."""
    chosen = AnalysisFilter(domain, model, label, abstained, created_after, created_before)
    page = await _service(request).page(await caller_of(request), chosen, cursor=cursor, limit=limit)
    return as_json(page_to_json(page))


@router.get("/analyses/{analysis_id}", response_model=schemas.Analysis, tags=["analyses"], **KEYED)
async def get_analysis(request: Request, analysis_id: str) -> Response:
    """One stored answer of the key's tenant."""
    return as_json(analysis_to_json(await _service(request).get(await caller_of(request), analysis_id)))


@router.delete("/analyses/{analysis_id}", status_code=204, response_class=Response, tags=["analyses"], **KEYED)
async def delete_analysis(request: Request, analysis_id: str) -> Response:
    """Removes an answer and its pictures for good. Needs the scope `admin`."""
    await _service(request).delete(await caller_of(request), analysis_id)
    return Response(status_code=204)


@router.get("/analyses/{analysis_id}/overlay.png", tags=["pictures"], **ARTIFACT)
async def get_overlay(request: Request, analysis_id: str) -> Response:
    """The picture with the result drawn over it."""
    return await _artifact(request, analysis_id, "overlay.png")


@router.get("/analyses/{analysis_id}/mask.png", tags=["pictures"], **ARTIFACT)
async def get_mask(request: Request, analysis_id: str) -> Response:
    """Segmentations: the class map; pixel values are class indices, the palette gives them colours."""
    return await _artifact(request, analysis_id, "mask.png")


@router.get("/analyses/{analysis_id}/heatmap.png", tags=["pictures"], **ARTIFACT)
async def get_heatmap(request: Request, analysis_id: str) -> Response:
    """Classifications: evidence for the leading label, 0 to 255, at the picture's size."""
    return await _artifact(request, analysis_id, "heatmap.png")


@router.get("/analyses/{analysis_id}/key_frames/{number}.png", tags=["pictures"], **ARTIFACT)
async def get_key_frame(
    request: Request, analysis_id: str, number: Annotated[int, Path(json_schema_extra={"minimum": 1})]
) -> Response:
    """Clips and streams: a key frame, 1 being the best, with its own result drawn over it."""
    return await _artifact(request, analysis_id, KEY_FRAME_PICTURE, key_frame=number)


router.websocket("/domains/{domain}/stream")(stream)


@router.get("/domains", response_model=schemas.Domains, tags=["catalogue"], **KEYED)
async def list_domains(request: Request) -> Response:
    """The domains, with what callers may say to each."""
    await caller_of(request)
    return as_json({"domains": [domain_to_json(domain) for domain in _service(request).domains()]})


@router.get("/models", response_model=schemas.Models, tags=["catalogue"], **KEYED)
async def list_models(request: Request) -> Response:
    """The model packages, with their state and measured figures."""
    await caller_of(request)
    return as_json({"models": [model_to_json(model) for model in _service(request).models()]})


@router.get("/nodes", response_model=schemas.Nodes, tags=["nodes"], **KEYED)
async def list_nodes(request: Request) -> Response:
    """The nodes that run models, with their devices as they are now. Needs the scope `nodes` or `admin`."""
    nodes = _service(request).nodes(await caller_of(request))
    return as_json({"nodes": [node_to_json(node) for node in nodes]}, headers={"Cache-Control": "no-store"})


async def _artifact(request: Request, analysis_id: str, name: str, *, key_frame: int = 1) -> Response:
    caller, timeout_s = await caller_of(request), timeout_of(request)
    png = await unless_gone(
        request, _service(request).artifact(caller, analysis_id, name, key_frame=key_frame, timeout_s=timeout_s)
    )
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, no-store"})


def _service(request: Request) -> AnalysisService:
    service: AnalysisService = request.app.state.service
    return service
