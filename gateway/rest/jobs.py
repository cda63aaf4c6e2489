"""The paths of durable jobs: each converts a request, calls the service, and converts what comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request
from pydantic.json_schema import SkipJsonSchema
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from gateway.http import unless_gone
from gateway.rest import job_schemas as schemas
from gateway.rest.body import JOB_FIELDS
from gateway.rest.calls import as_json, caller_of, context_of, timeout_of
from gateway.rest.consent import consents_of
from gateway.rest.documents import (
    analysis_to_json,
    deliveries_to_json,
    job_path,
    job_to_json,
    jobs_to_json,
    path_of,
    server_timing,
)
from gateway.rest.job_openapi import CANCEL, EVENTS, JOB, RETRY
from gateway.rest.openapi import KEYED
from gateway.rest.prefer import APPLIED, IDEMPOTENCY_KEY, PREFER, Preferences, idempotency_key, preferences
from gateway.rest.problems import to_problem
from gateway.rest.progress import follow, wants_events
from gateway.rest.query import Cursor, Limit, Text
from gateway.service.clips import Progress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import JobDesk, Order, Receipt, StillOpen
from gateway.service.jobs.records import Job, JobFilter, JobPriority, JobState
from gateway.service.jobs.service import OPEN
from gateway.service.keys import Caller
from gateway.service.records import Analysis
from gateway.service.requests import RequestContext

REPLAYED = "Idempotent-Replayed"
NO_STORE = {"Cache-Control": "no-store"}
LONGEST_POLL_S = 30
T = TypeVar("T")

router = APIRouter(prefix="/v1")


class Wishes(msgspec.Struct, frozen=True):
    """What stands among the parameters and isn't for the domain, but for the job."""

    callback_url: str = ""
    expires_s: float | None = None
    priority: JobPriority = "interactive"


async def analyze_as_job(
    request: Request, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any]
) -> Response | None:
    """Answers an analysis that is to be durable: one with a key, a callback or the preference for an answer later on. None
    for any other.
    """
    prefer = preferences(request.headers.getlist(PREFER))
    key = idempotency_key(request.headers.getlist(IDEMPOTENCY_KEY))
    if not (prefer.respond_async or key or "callback_url" in parameters):
        return None
    desk, context = desk_of(request), context_of(request)
    order, wanted = order_from(context.id, key, parameters, priority="interactive", consents=consents_of(request))
    receipt = await desk.order(caller, domain, payload, wanted, order)
    context.analysis_id = receipt.job.id
    headers = {REPLAYED: "true"} if receipt.replayed else {}
    if wants_events(request) and not prefer.respond_async:
        return _with(headers, await _followed(request, context, desk, caller, receipt))
    applied, wait_s = _wait(prefer, desk, timeout_of(request))
    headers |= {APPLIED: ", ".join(applied)} if applied else {}
    job, analysis = receipt.job, None
    if wait_s:
        job, analysis = await unless_gone(request, desk.wait(caller, job, wait_s))
    if analysis is None:
        return _accepted(job, headers)
    headers |= {"Location": path_of(analysis.id), "Server-Timing": server_timing(analysis)}
    return as_json(analysis_to_json(analysis), 201, headers)


@router.get("/jobs", response_model=schemas.JobPage, tags=["jobs"], **KEYED)
async def list_jobs(
    request: Request,
    state: JobState | SkipJsonSchema[None] = None,
    mission: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Jobs of the key's tenant, newest first."""
    page = await desk_of(request).jobs.page(
        await caller_of(request), JobFilter(state, mission), cursor=cursor, limit=limit
    )
    return as_json(jobs_to_json(page), headers=NO_STORE)


@router.get("/jobs/{job_id}", response_model=schemas.Job, tags=["jobs"], **JOB)
async def get_job(request: Request, job_id: str) -> Response:
    """One job. While it is open, `Retry-After` says when it is worth asking again; once it is done, `links.analysis` is there."""
    job = await desk_of(request).jobs.get(await caller_of(request), job_id)
    return as_json(job_to_json(job), headers=NO_STORE | _when_to_ask(job))


@router.delete("/jobs/{job_id}", response_model=schemas.Job, tags=["jobs"], **CANCEL)
async def cancel_job(request: Request, job_id: str) -> Response:
    """Cancels an open job: from then on no answer comes. Needs the scope `analyze` of its domain, or `admin`."""
    return as_json(job_to_json(await desk_of(request).cancel(await caller_of(request), job_id)))


@router.post("/jobs/{job_id}/retry", response_model=schemas.Job, status_code=202, tags=["jobs"], **RETRY)
async def retry_job(request: Request, job_id: str) -> Response:
    """Takes a failed job back into the queue, with all its attempts before it. Needs the scope `admin`."""
    return _accepted(await desk_of(request).retry(await caller_of(request), job_id), {})


@router.get("/jobs/{job_id}/events", tags=["jobs"], **EVENTS)
async def job_events(request: Request, job_id: str) -> Response:
    """A job as server-sent events: `job` now and at each change, its data the job. It ends after the final one."""
    context, caller = context_of(request), await caller_of(request)
    changes = desk_of(request).watch(caller, job_id)
    first = await unless_gone(request, _next(changes))  # what is refused is answered with its own status
    if first is None:
        raise StillOpen(job_id, stopping=True)
    return EventSourceResponse(_events(first, changes, context), headers=NO_STORE)


@router.get("/jobs/{job_id}/deliveries", response_model=schemas.Deliveries, tags=["jobs"], **KEYED)
async def list_deliveries(request: Request, job_id: str) -> Response:
    """What was sent to the job's callback, and what came of it, oldest first."""
    caller, jobs = await caller_of(request), desk_of(request).jobs
    return as_json(deliveries_to_json(await jobs.deliveries(caller, job_id)), headers=NO_STORE)


def order_from(
    request_id: str, key: str, parameters: Mapping[str, Any], *, priority: JobPriority, mission: str = "",
    consents: tuple[str, ...] = (),
) -> tuple[Order, dict[str, Any]]:
    """The order, and the parameters that are the domain's. Raises INVALID_ARGUMENT."""
    own = {name: value for name, value in parameters.items() if name not in JOB_FIELDS}
    asked = {name: value for name, value in parameters.items() if name in JOB_FIELDS}
    try:
        wishes = msgspec.convert({"priority": priority} | asked, Wishes)
    except msgspec.ValidationError as error:
        place = str(error).rpartition("`$.")[2].rstrip("`")  # the rest of its text could quote what was sent
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, "the parameter has the wrong form; docs/jobs.md says which it has", parameter=place
        ) from error
    return Order(request_id, key, wishes.priority, wishes.expires_s, mission, wishes.callback_url, consents), own


async def goes_on(request: Request, caller: Caller, error: StillOpen) -> Response:
    """The answer to a call that became a job: the job, unless the gateway stops before it can be looked up."""
    context_of(request).analysis_id = error.job_id
    return _accepted(await desk_of(request).find(caller, error.job_id), {})


def desk_of(request: Request) -> JobDesk:
    """Where jobs are ordered."""
    desk: JobDesk = request.app.state.desk
    return desk


def _wait(prefer: Preferences, desk: JobDesk, timeout_s: float | None) -> tuple[list[str], float]:
    """The preferences that are heeded, and for how long the call waits."""
    applied = ["respond-async"] if prefer.respond_async else []
    if prefer.wait_s is None:
        return applied, 0.0 if prefer.respond_async else desk.longest_wait_s(timeout_s)
    wait_s = min(prefer.wait_s, int(desk.longest_wait_s(timeout_s or prefer.wait_s)))
    return [*applied, f"wait={wait_s}"], wait_s


async def _followed(
    request: Request, context: RequestContext, desk: JobDesk, caller: Caller, receipt: Receipt
) -> Response:
    """Events, once there is anything to tell; the job where the deadline passes first."""
    def following(on_progress: Callable[[Progress], None]) -> Coroutine[Any, Any, Analysis]:
        return desk.follow(caller, receipt.job, on_progress)

    try:
        async with asyncio.timeout(desk.longest_wait_s(timeout_of(request))):
            return await follow(request, context, following)
    except (TimeoutError, StillOpen):
        return _accepted(receipt.job, {})


def _with(headers: Mapping[str, str], response: Response) -> Response:
    response.headers.update(headers)
    return response


def _accepted(job: Job, headers: Mapping[str, str]) -> Response:
    return as_json(job_to_json(job), 202, {**headers, "Location": job_path(job.id), **_when_to_ask(job)})


def _when_to_ask(job: Job) -> dict[str, str]:
    return {"Retry-After": str(retry_after_s(job))} if job.state in OPEN else {}


def retry_after_s(job: Job) -> int:
    """When it is worth asking for an open job again: not before its next try; else the longer it has taken, the later."""
    now = datetime.now(UTC)
    if job.state is JobState.QUEUED and job.not_before > now:
        return ceil((job.not_before - now).total_seconds())
    return min(LONGEST_POLL_S, max(1, round((now - job.created_at).total_seconds() / 10)))


async def _next(changes: AsyncIterator[T]) -> T | None:
    return await anext(changes, None)


async def _events(first: Job, changes: AsyncIterator[Job], context: RequestContext) -> AsyncIterator[ServerSentEvent]:
    try:
        yield _event("job", job_to_json(first))
        async for job in changes:
            yield _event("job", job_to_json(job))
    except Exception as error:
        yield _event("error", to_problem(context.failed(error), context.id))


def _event(name: str, document: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(document).decode(), event=name)
