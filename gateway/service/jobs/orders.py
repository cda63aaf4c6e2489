"""What both transports ask of jobs: take an order, wait for its answer, and say what became of it.

Whoever may order an analysis may have its answer, also with a key that lacks the scope `read`: a synchronous caller is
given its answer too.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from domains.errors import EmptyMedia
from edge_runtime.errors import DeadlineExceeded, EdgeError
from gateway.service.analyses import AnalysisService
from gateway.service.clips import OnProgress, Progress
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.callbacks import URL, check_callback
from gateway.service.jobs.records import Job, JobFilter, JobPriority, JobState
from gateway.service.jobs.service import MAX_PAGE, OPEN, JobService
from gateway.service.keys import READ, Caller
from gateway.service.records import Analysis, JsonObject
from gateway.service.tiers import Asked, Tiers

T = TypeVar("T")
MOST_FILES = 100
"""Files of one mission that come in one request."""
LONGEST_EXPIRY_S = 366 * 86_400
_LONGEST_WAITS = 10
"""As with deadlines: a caller may wait for ten times the usual."""
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_MISSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUMBER = re.compile(r"/([1-9][0-9]{0,2})$")


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller says of its job besides the file."""

    request_id: str
    key: str = ""
    """Its idempotency key."""
    priority: JobPriority = "interactive"
    expires_s: float | None = None
    """After so many seconds the answer is no longer wanted."""
    mission: str = ""
    callback_url: str = ""
    consents: tuple[str, ...] = ()
    """What may happen with the file; see leaving/consent.py."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order that is safe. `replayed`: its key was known, so this is the job of an earlier request."""

    job: Job
    replayed: bool


@dataclass(frozen=True, slots=True)
class Mission:
    """Jobs that belong together, and how many of them are in each state."""

    id: str
    counts: Mapping[JobState, int]
    jobs: Sequence[Job]


class StillOpen(ServiceError):
    """A caller can't wait any longer for a job, which goes on. `stopping`: since the gateway stops."""

    def __init__(self, job_id: str, *, stopping: bool) -> None:
        self.job_id = job_id
        why = "the gateway stops" if stopping else "the deadline has passed"
        super().__init__(
            ErrorCode.UNAVAILABLE if stopping else ErrorCode.DEADLINE_EXCEEDED,
            f"{why}; the job {job_id} goes on: ask for it, or send this again under the same key",
        )


class JobDesk:
    """Between the transports and the jobs. Every method may raise ServiceError or DomainError. `private_callbacks`: whether
    results may be sent to plain HTTP and into the gateway's own network.
    """

    def __init__(
        self, jobs: JobService, analyses: AnalysisService, tiers: Tiers, *, private_callbacks: bool
    ) -> None:
        self.jobs = jobs
        self._analyses = analyses
        self._tiers = tiers
        self._private_callbacks = private_callbacks
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """The gateway stops: whoever waits for a job is answered now, and told that it goes on."""
        self._stopping.set()

    async def analyse(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str,
        timeout_s: float | None, consents: tuple[str, ...] = (), on_progress: OnProgress | None = None,
    ) -> Analysis:
        """Answers at once, by whichever tier is to. Raises StillOpen where it goes on as a job: the cloud wasn't quick
        enough, or the edge wasn't and the caller named no deadline of its own.
        """
        self._analyses.admit(caller, domain)
        began = asyncio.get_running_loop().time()
        asked = Asked(caller.tenant, domain, payload, parameters, request_id, consents)
        choice = await self._tiers.first(asked)
        if choice.tier == "edge":
            try:
                return await self._analyses.analyse(
                    caller, domain, payload, parameters, request_id=request_id, timeout_s=timeout_s, on_progress=on_progress,
                    consents=consents, note=choice.note,
                )
            except EdgeError as error:
                other = await self._tiers.instead(asked, error)
                if other is None or other.tier == "edge":
                    if isinstance(error, DeadlineExceeded) and timeout_s is None:
                        receipt = await self.order(caller, domain, payload, parameters, Order(request_id, consents=consents))
                        raise StillOpen(receipt.job.id, stopping=False) from error
                    raise
                choice = other
        job = await self._tiers.ask_cloud(asked, choice.why)
        if on_progress is not None:
            return await self.follow(caller, job, on_progress)
        left_s = self.longest_wait_s(timeout_s) - (asyncio.get_running_loop().time() - began)
        job, analysis = await self.wait(caller, job, max(0.0, left_s))
        return analysis or await self.outcome(_reader(caller), job)

    async def order(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], order: Order
    ) -> Receipt:
        """When it returns, the order survives a crash."""
        self._analyses.admit(caller, domain)
        _check(order)
        if not payload:
            raise EmptyMedia("the body is empty: send the file's bytes")
        callback = {URL: check_callback(order.callback_url, self._private_callbacks)} if order.callback_url else None
        taken = await self.jobs.submit(
            caller, domain, payload, parameters, request_id=order.request_id, key=order.key, priority=order.priority,
            expires_s=order.expires_s, mission=order.mission, callback=callback, consents=order.consents,
        )
        return Receipt(taken.job, replayed=not taken.is_new)

    def longest_wait_s(self, wanted: float | None) -> float:
        """For how long a caller that wants to wait so long does; None is the usual deadline."""
        usual = self._analyses.policy.timeout_s
        return usual if wanted is None else min(wanted, usual * _LONGEST_WAITS)

    async def wait(self, caller: Caller, job: Job, timeout_s: float) -> tuple[Job, Analysis | None]:
        """The job as it is when it is final, the time is over or the gateway stops, and its analysis where it is done. Raises
        the error of a job that failed.
        """
        reader = _reader(caller)
        if job.state in OPEN:
            job = await self._unless_stopping(self.jobs.wait(reader, job.id, timeout_s)) or job
        return job, None if job.state in OPEN else await self.outcome(reader, job)

    async def follow(self, caller: Caller, job: Job, on_progress: OnProgress) -> Analysis:
        """The same without an end to the waiting, and with news of how far it is. Raises StillOpen where the gateway stops."""
        reader = _reader(caller)
        told: JsonObject = {}
        async for changed in self.watch(reader, job.id):
            job = changed
            if job.progress and job.progress != told:
                told = job.progress
                on_progress(progress_of(job))
        return await self.outcome(reader, job)

    async def watch(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job now and at each change, until it is final or the gateway stops."""
        changes = self.jobs.watch(caller, job_id)
        while job := await self._unless_stopping(anext(changes, None)):
            yield job

    async def find(self, caller: Caller, job_id: str) -> Job:
        """The job of whoever ordered it."""
        return await self.jobs.get(_reader(caller), job_id)

    async def outcome(self, reader: Caller, job: Job) -> Analysis:
        """What became of a job. Raises its error, CONFLICT where it was cancelled, GONE where the answer isn't kept any more,
        StillOpen where there is none yet.
        """
        if job.state is JobState.FAILED:
            raise error_of(job)
        if job.state is JobState.CANCELLED:
            raise ServiceError(ErrorCode.CONFLICT, f"the job {job.id} was cancelled")
        if job.state in OPEN:
            raise StillOpen(job.id, stopping=self._stopping.is_set())
        try:
            return await self._analyses.get(reader, job.id)
        except ServiceError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            raise ServiceError(ErrorCode.GONE, f"the answer to the job {job.id} is no longer kept") from error

    async def mission(self, caller: Caller, mission_id: str) -> Mission:
        """A mission with its jobs in the order of the files, the newest 200 where it has more. Raises NOT_FOUND."""
        counts = await self.jobs.mission(caller, mission_id)
        if not any(counts.values()):
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no mission of that id")
        page = await self.jobs.page(caller, JobFilter(mission=mission_id), cursor=None, limit=MAX_PAGE)
        return Mission(mission_id, counts, sorted(page.jobs, key=lambda job: (_number_of(job), job.id)))

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """The cancelled job; a second time too. Raises CONFLICT where it was final otherwise."""
        job = await self.jobs.cancel(caller, job_id)
        if job.state is not JobState.CANCELLED:
            raise ServiceError(ErrorCode.CONFLICT, f"the job can't be cancelled: it is {job.state}")
        return job

    async def retry(self, caller: Caller, job_id: str) -> Job:
        """A failed job, queued again. Raises CONFLICT for one that is final otherwise."""
        job = await self.jobs.retry(caller, job_id)
        if job.state not in OPEN:
            raise ServiceError(ErrorCode.CONFLICT, f"only a failed job can be tried again; this one is {job.state}")
        return job


    async def _unless_stopping(self, work: Awaitable[T]) -> T | None:
        """What the work gives, or None where the gateway stops before."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stopping.cancel()


def check_key(text: str, parameter: str) -> str:
    """An idempotency key, checked. Raises INVALID_ARGUMENT, which names the parameter."""
    if not _KEY.fullmatch(text):
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, "an idempotency key is 1 to 255 printable ASCII characters", parameter=parameter
        )
    return text


def error_of(job: Job) -> ServiceError:
    """Why a job failed, as whoever waited for it is told."""
    known = job.error_code in ErrorCode.__members__
    return ServiceError(
        ErrorCode(job.error_code) if known else ErrorCode.INTERNAL, job.error_message, parameter=job.error_parameter
    )


def progress_of(job: Job) -> Progress:
    """How far a job is whose `progress` isn't empty."""
    progress = job.progress
    return Progress(progress["frames_done"], progress["frames_total"], progress.get("verdict", {}))


def _check(order: Order) -> None:
    if order.expires_s is not None and not 0 < order.expires_s <= LONGEST_EXPIRY_S:
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, "a job expires after a positive number of seconds, at most a year",
            parameter="expires_s",
        )
    if order.mission and not _MISSION.fullmatch(order.mission):
        raise ServiceError(
            ErrorCode.INVALID_ARGUMENT, "a mission's id is 1 to 64 of letters, digits, '.', '_' and '-'",
            parameter="mission",
        )


def _reader(caller: Caller) -> Caller:
    return replace(caller, scopes=caller.scopes | {READ})


def _number_of(job: Job) -> int:
    """Which file of its mission's request it is, from 1: its key says so; 0 for one that came by itself."""
    number = _NUMBER.search(job.key)
    return int(number[1]) if number else 0
