"""How a job for the cloud ends, or waits for its next try."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from gateway.service.archive import INPUT
from gateway.service.cloud.answers import Unintelligible, analysis_of
from gateway.service.cloud.guarded import GuardedLink
from gateway.service.cloud.ports import CloudAnswer, CloudError
from gateway.service.cloud.sending import stored
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.callbacks import deliveries_of
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.jobs.ports import JobStore
from gateway.service.jobs.records import HELD_BACK, Job, JobState
from gateway.service.jobs.service import OPEN
from gateway.service.ports import ImageStore
from gateway.service.records import Analysis

logger = structlog.get_logger("hedgerow.cloud")

OnOpinion = Callable[[Job, Analysis, bytes], Awaitable[None]]
"""Told of a second opinion that is stored: its job (`opinion_on` names the first analysis), the analysis, the upload."""


@dataclass(frozen=True, slots=True)
class EndingPolicy:
    """`unreachable_s`: the least that a job waits for a cloud that can't be reached; `storage_pause_s`: how long it does for
    a disk or database that takes nothing.
    """

    keep_images: bool = True
    unreachable_s: float = 1.0
    storage_pause_s: float = 15.0
    backoff: Backoff = field(default_factory=Backoff)


class Endings:
    """Use from one event loop. What is written counts only while the job's lease is ours; else its objects are cleared
    away, unless somebody else works on it.
    """

    def __init__(
        self, store: JobStore, payloads: PayloadStore, images: ImageStore, link: GuardedLink, policy: EndingPolicy, *,
        on_end: Callable[[], None] = lambda: None, on_opinion: OnOpinion | None = None,
    ) -> None:
        self._store = store
        self._payloads = payloads
        self._images = images
        self._link = link
        self._policy = policy
        self._on_end = on_end
        self._on_opinion = on_opinion

    async def take(self, job: Job, answer: CloudAnswer) -> None:
        """Ends the job by an answer, or has it tried again by one that is an error. Raises StorageFails."""
        if answer.error is not None:
            await self._take_error(job, answer.error)
            return
        try:
            analysis = analysis_of(job, answer)
        except Unintelligible as fault:
            logger.error("an answer of the cloud can't be used", job_id=job.id, fault=str(fault))
            await self._take_error(job, CloudError(ErrorCode.INTERNAL, "the cloud's answer can't be understood"))
        else:
            await self._complete(job, analysis, answer.pictures)

    async def fail(self, job: Job, told: ServiceError) -> None:
        """For good. Its bytes stay, for an operator who takes it back."""
        ended = await asyncio.to_thread(
            self._store.fail, job, told.code, str(told), parameter=told.parameter,
            deliveries=deliveries_of(job, datetime.now(UTC)),
        )
        if not ended:
            await self._clear(job)
            return
        self._on_end()
        await self._link.forget(job.id)
        logger.warning("a job for the cloud failed for good", job_id=job.id, code=told.code, attempts=job.attempts)

    async def stay(self, job: Job, told: ServiceError) -> None:
        """It may not leave: a second opinion fails for good, and what the cloud was to answer goes back to the edge."""
        if job.opinion_on:
            await self.fail(job, told)
            return
        logger.warning("a job for the cloud may not leave; the edge answers it", job_id=job.id, code=told.code)
        if await asyncio.to_thread(self._store.hand_over, job, "edge", HELD_BACK, job.expires_at):
            await self._link.forget(job.id)
        else:
            await self._clear(job)

    async def try_again(self, job: Job, told: ServiceError) -> None:
        """After a pause, where it has attempts left."""
        moment = self._policy.backoff.next_try(
            job, datetime.now(UTC), luck=random.random(), retry_after_s=told.retry_after_s or 0.0  # noqa: S311 - no secret
        )
        if moment is None:
            await self.fail(job, told)
        else:
            await self._release(job, moment, told.code, str(told), counts=True)

    async def wait_for_cloud(self, job: Job, cause: str) -> None:
        """Until it may be tried again; that costs no attempt."""
        pause_s = max(self._link.pause_s, self._policy.unreachable_s)
        message = f"the cloud can't be reached: {cause}"
        await self._release(job, _later(pause_s), ErrorCode.CLOUD_UNAVAILABLE, message)

    async def wait_for_storage(self, job: Job) -> None:
        """The same for a disk or a database that fails."""
        message = "the gateway's disk or database takes nothing at the moment"
        await self._release(job, _later(self._policy.storage_pause_s), ErrorCode.STORAGE_FULL, message)

    async def give_back(self, job: Job) -> None:
        """To whoever claims it next, at once. What was sent stays sent."""
        await self._release(job, datetime.now(UTC), "", "")

    async def _take_error(self, job: Job, error: CloudError) -> None:
        """Its objects go first: else the next try would find the same answer."""
        await self._link.forget(job.id)
        code = ErrorCode(error.code) if error.code in ErrorCode.__members__ else ErrorCode.INTERNAL
        told = ServiceError(code, error.message, parameter=error.parameter)
        await (self.fail(job, told) if error.final else self.try_again(job, told))

    async def _complete(self, job: Job, analysis: Analysis, pictures: Mapping[str, bytes]) -> None:
        is_compared = self._on_opinion is not None and job.opinion_on != ""
        wants_upload = self._policy.keep_images or is_compared
        upload = await stored(lambda: self._payloads.get(job.id)) if wants_upload else None
        if self._policy.keep_images:
            analysis = replace(analysis, images=tuple(pictures))
            kept = pictures if upload is None else {INPUT: upload, **pictures}
            await stored(lambda: self._images.replace(job.id, kept))
        deliveries = deliveries_of(job, datetime.now(UTC))
        if not await stored(lambda: self._store.complete(job, analysis, deliveries=deliveries)):
            await self._clear(job)
            return
        self._on_end()
        if self._on_opinion is not None and is_compared and upload is not None:
            await _unless_it_fails(self._on_opinion(job, analysis, upload), job)
        await self._link.forget(job.id)
        await asyncio.to_thread(self._payloads.delete, [job.id])

    async def _release(self, job: Job, moment: datetime, code: str, message: str, *, counts: bool = False) -> None:
        if not await asyncio.to_thread(self._store.release, job, moment, code, message, counts=counts):
            await self._clear(job)

    async def _clear(self, job: Job) -> None:
        """What is left of a job that isn't ours any more, where it is nobody's."""
        now = await asyncio.to_thread(self._store.get, job.tenant, job.id)
        if now is not None and now.state in OPEN:
            return
        if now is None or now.state is not JobState.DONE:
            await asyncio.to_thread(self._images.delete, job.id)
        await self._link.forget(job.id)


def _later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def _unless_it_fails(comparison: Awaitable[None], job: Job) -> None:
    try:
        await comparison
    except Exception as error:
        logger.error("a second opinion could not be compared", job_id=job.id, kind=type(error).__name__)
