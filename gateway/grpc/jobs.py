"""The calls of hedgerow.v1.JobService: each converts a message, calls the service, and converts what comes back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from gateway.grpc.calls import DEFAULT_PAGE, Calls, Context, send
from gateway.grpc.messages import analysis_to_proto, progress_to_proto
from gateway.grpc.upload import collect, consents_of, first_of, key_of, parameters_of
from gateway.service.analyses import AnalysisService
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import JobDesk, Order, StillOpen, progress_of
from gateway.service.jobs.records import Job, JobFilter, JobPriority, JobState
from gateway.service.jobs.service import OPEN
from gateway.service.keys import Caller
from gateway.service.records import Analysis
from gateway.service.requests import RequestContext
from protos.hedgerow.v1 import jobs_pb2 as pb
from protos.hedgerow.v1 import jobs_pb2_grpc

_PRIORITIES: dict[int, JobPriority] = {
    pb.JOB_PRIORITY_UNSPECIFIED: "interactive",
    pb.JOB_PRIORITY_INTERACTIVE: "interactive",
    pb.JOB_PRIORITY_BATCH: "batch",
}
_STATES: dict[int, JobState] = {
    pb.JOB_STATE_QUEUED: JobState.QUEUED,
    pb.JOB_STATE_RUNNING: JobState.RUNNING,
    pb.JOB_STATE_DONE: JobState.DONE,
    pb.JOB_STATE_FAILED: JobState.FAILED,
    pb.JOB_STATE_CANCELLED: JobState.CANCELLED,
}
_TO_PRIORITY = {"interactive": pb.JOB_PRIORITY_INTERACTIVE, "batch": pb.JOB_PRIORITY_BATCH}
_TO_STATE: Mapping[JobState, Any] = {state: number for number, state in _STATES.items()}


class JobServicer(jobs_pb2_grpc.JobServiceServicer):
    """The gRPC face of JobDesk and its JobService. `analyses`: who may order, and the bounds of an upload."""

    def __init__(self, desk: JobDesk, analyses: AnalysisService, calls: Calls) -> None:
        self._desk = desk
        self._jobs = desk.jobs
        self._analyses = analyses
        self._answer = calls.answer

    async def SubmitJob(self, requests: AsyncIterator[pb.SubmitJobRequest], context: Context) -> pb.SubmitJobResponse:
        async def work(caller: Caller, about: RequestContext) -> pb.SubmitJobResponse:
            start: pb.JobStart = await first_of(requests)
            self._analyses.admit(caller, start.domain)
            order = _order(start, about.id)
            content = await collect(requests, start.size_bytes, self._analyses.policy)
            receipt = await self._desk.order(caller, start.domain, content, parameters_of(start), order)
            about.analysis_id = receipt.job.id
            return pb.SubmitJobResponse(job=job_to_proto(receipt.job), replayed=receipt.replayed)

        return await self._answer("SubmitJob", context, work)

    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetJobResponse:
            return pb.GetJobResponse(job=job_to_proto(await self._jobs.get(caller, request.id)))

        return await self._answer("GetJob", context, work)

    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.ListJobsResponse:
            page = await self._jobs.page(
                caller, _filter(request), cursor=request.page_token or None, limit=request.page_size or DEFAULT_PAGE
            )
            return pb.ListJobsResponse(jobs=map(job_to_proto, page.jobs), next_page_token=page.next_id or "")

        return await self._answer("ListJobs", context, work)

    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.CancelJobResponse:
            return pb.CancelJobResponse(job=job_to_proto(await self._desk.cancel(caller, request.id)))

        return await self._answer("CancelJob", context, work)

    async def RetryJob(self, request: pb.RetryJobRequest, context: Context) -> pb.RetryJobResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.RetryJobResponse:
            return pb.RetryJobResponse(job=job_to_proto(await self._desk.retry(caller, request.id)))

        return await self._answer("RetryJob", context, work)

    async def WatchJob(self, request: pb.WatchJobRequest, context: Context) -> None:
        async def work(caller: Caller, about: RequestContext) -> None:
            open_ = True
            async for job in self._desk.watch(caller, request.id):
                about.analysis_id, open_ = job.id, job.state in OPEN
                analysis = await self._analysis_of(caller, job)
                await send(context, pb.WatchJobResponse(
                    job=job_to_proto(job), analysis=analysis_to_proto(analysis) if analysis else None
                ))
            if open_:
                raise StillOpen(request.id, stopping=True)

        await self._answer("WatchJob", context, work)

    async def GetMission(self, request: pb.GetMissionRequest, context: Context) -> pb.GetMissionResponse:
        async def work(caller: Caller, _: RequestContext) -> pb.GetMissionResponse:
            mission = await self._desk.mission(caller, request.id)
            counts = {str(state): count for state, count in mission.counts.items()}
            return pb.GetMissionResponse(id=mission.id, states=counts, jobs=map(job_to_proto, mission.jobs))

        return await self._answer("GetMission", context, work)

    async def _analysis_of(self, caller: Caller, job: Job) -> Analysis | None:
        if job.state is JobState.DONE:
            with suppress(ServiceError):  # it may have been deleted since
                return await self._desk.outcome(caller, job)
        return None


def job_to_proto(job: Job) -> pb.Job:
    """A job. `error` is the last try's, also while it waits for another."""
    message = pb.Job(
        id=job.id,
        state=_TO_STATE[job.state],
        domain=job.domain,
        priority=_TO_PRIORITY[job.priority],
        attempts=job.attempts,
        mission=job.mission,
        progress=progress_to_proto(progress_of(job)) if job.progress else None,
        error=pb.JobError(code=job.error_code, message=job.error_message) if job.error_code else None,
        tier=job.tier,
        why=job.why,
        opinion_on=job.opinion_on,
    )
    message.created_at.FromDatetime(job.created_at)
    message.updated_at.FromDatetime(job.updated_at)
    if job.state is JobState.QUEUED:
        message.not_before.FromDatetime(job.not_before)
    if job.expires_at is not None:
        message.expires_at.FromDatetime(job.expires_at)
    return message


def _order(start: pb.JobStart, request_id: str) -> Order:
    if start.priority not in _PRIORITIES:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "there is no such priority", parameter="priority")
    expires_s = start.expires_s if start.HasField("expires_s") else None
    return Order(
        request_id, key_of(start), _PRIORITIES[start.priority], expires_s, start.mission, start.callback_url, consents_of(start)
    )


def _filter(request: pb.ListJobsRequest) -> JobFilter:
    if request.state and request.state not in _STATES:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "there is no such state", parameter="state")
    return JobFilter(_STATES.get(request.state), request.mission or None)
