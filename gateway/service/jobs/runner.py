"""Works on jobs: claims them with leases, has them answered, and stores each answer with its job's end in one transaction.

Any number of runners, in one process or many, share one store. A runner that dies loses its leases, and others take its
jobs up; one that was only slow finds its lease gone, and what it made is thrown away.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from domains.errors import DomainError
from edge_runtime.errors import DecoderFailed, EdgeError, InputBreaksWorker, PackageError
from edge_runtime.scheduler import Priority
from gateway.service.answering import Answering
from gateway.service.archive import INPUT, Made
from gateway.service.clips import Progress
from gateway.service.errors import ErrorCode, ServiceError, translate
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.callbacks import deliveries_of
from gateway.service.jobs.leases import Leases
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.jobs.ports import JobStore
from gateway.service.jobs.records import Job
from gateway.service.ports import ImageStore
from gateway.service.tiers import Asked, Tiers, asked_by
from gateway.service.trials import Rollouts

logger = structlog.get_logger("hedgerow.jobs")

FINAL = (DomainError, InputBreaksWorker, DecoderFailed, PackageError)
"""What the input itself is guilty of: another try would end in the same way."""
PRIORITIES: Mapping[str, Priority] = {"interactive": Priority.INTERACTIVE, "batch": Priority.BATCH}
REPORT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class RunnerPolicy:
    """`slots`: jobs at once; `timeout_s`: for one try; `poll_s`: how often other gateways' jobs are looked for;
    `storage_pause_s`: how long a job waits whose answer could not be stored.
    """

    slots: int = 2
    lease_s: float = 20.0
    timeout_s: float = 600.0
    poll_s: float = 1.0
    storage_pause_s: float = 15.0
    keep_images: bool = True
    backoff: Backoff = field(default_factory=Backoff)


class JobRunner:
    """Use from one event loop. `run` works until it is cancelled."""

    def __init__(
        self, store: JobStore, payloads: PayloadStore, images: ImageStore, answering: Answering, rollouts: Rollouts,
        tiers: Tiers, policy: RunnerPolicy, bell: Bell, *, owner: str, on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._payloads = payloads
        self._images = images
        self._answering = answering
        self._rollouts = rollouts
        self._tiers = tiers
        self._policy = policy
        self._bell = bell
        self._owner = owner
        self._on_end = on_end
        self._leases = Leases(store, bell, lease_s=policy.lease_s, on_end=lambda _: bell.ring())

    async def run(self) -> None:
        """Claims and works until it is cancelled; then gives back what isn't done."""
        keeper = asyncio.create_task(self._leases.keep())
        try:
            while True:
                free = self._policy.slots - len(self._leases)
                claimed = await self._claim(free) if free else []
                for job in claimed:
                    self._leases.begin(job, self._work(job))
                if not claimed:
                    await self._bell.wait(self._policy.poll_s)
        finally:
            keeper.cancel()
            await self._leases.stop()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _claim(self, limit: int) -> list[Job]:
        try:
            return list(await asyncio.to_thread(
                self._store.claim, self._owner, datetime.now(UTC), lease_s=self._policy.lease_s, limit=limit
            ))
        except Exception as error:
            logger.error("jobs could not be claimed", kind=type(error).__name__)
            return []

    async def _work(self, job: Job) -> None:
        try:
            await self._try(job)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(job))
            raise
        except Exception as error:
            logger.error("a job could not be ended; its lease runs out", job_id=job.id, kind=type(error).__name__)

    async def _give_back(self, job: Job) -> None:
        """So that others needn't wait for the lease's end. Changes nothing where it is lost or the job cancelled."""
        try:
            await asyncio.to_thread(self._store.release, job, datetime.now(UTC), "", "")
        except Exception as error:
            logger.error("a job could not be given back", job_id=job.id, kind=type(error).__name__)

    async def _try(self, job: Job) -> None:
        if job.attempts > self._policy.backoff.most_attempts:
            error = ServiceError(ErrorCode.INPUT_BREAKS_WORKER, f"given up: {job.attempts - 1} tries were never ended")
            await self._fail(job, error)
            return
        payload = await asyncio.to_thread(self._payloads.get, job.id)
        if payload is None:
            await self._fail(job, ServiceError(ErrorCode.GONE, "the bytes of this job are gone"))
            return
        asked = asked_by(job, payload)
        choice = await self._tiers.first(asked)
        if choice.tier == "cloud":
            await self._tiers.hand_over(job, choice)
            return
        reporter = _Reporter(self._store, job, self._bell)
        try:
            made = await self._answering.answer(
                job.tenant, job.domain, payload, job.parameters, request_id=job.request_id,
                timeout_s=self._policy.timeout_s, priority=PRIORITIES[job.priority], on_progress=reporter.tell,
            )
        except (DomainError, EdgeError, ServiceError) as error:
            await self._failed_or_handed_over(job, asked, error)
        except Exception as error:
            logger.error("a job met an unforeseen error", job_id=job.id, kind=type(error).__name__)
            await self._failed(job, error)
        else:
            await self._store_answer(job, asked, made, choice.note)
        finally:
            await reporter.end()

    async def _store_answer(self, job: Job, asked: Asked, made: Made, note: str) -> None:
        """A disk or a database that takes nothing is not the job's fault: it waits, and loses no attempt."""
        try:
            await self._complete(job, asked, made, note)
        except Exception as error:
            logger.error("an answer could not be stored; the job is tried again", job_id=job.id, kind=type(error).__name__)
            moment = datetime.now(UTC) + timedelta(seconds=self._policy.storage_pause_s)
            await asyncio.to_thread(
                self._store.release, job, moment, ErrorCode.STORAGE_FULL, "the answer could not be stored", counts=False
            )

    async def _complete(self, job: Job, asked: Asked, made: Made, note: str) -> None:
        analysis = made.record(job.tenant, job.domain, job.request_id, analysis_id=job.id)
        analysis = await self._tiers.judged(asked, analysis, note)
        if self._policy.keep_images:
            analysis = replace(analysis, images=tuple(made.pictures))
            await asyncio.to_thread(self._images.replace, job.id, {INPUT: asked.payload, **made.pictures})
        if await asyncio.to_thread(self._store.complete, job, analysis, deliveries=deliveries_of(job, datetime.now(UTC))):
            self._on_end()
            await asyncio.to_thread(self._payloads.delete, [job.id])
            self._rollouts.observe(analysis, asked.payload, job.parameters)
            await self._tiers.learn(asked, analysis)

    async def _failed_or_handed_over(self, job: Job, asked: Asked, error: Exception) -> None:
        choice = await self._tiers.instead(asked, error)
        if choice is not None and choice.tier == "cloud":
            await self._tiers.hand_over(job, choice)
        else:
            await self._failed(job, error)

    async def _failed(self, job: Job, error: Exception) -> None:
        told = translate(error)
        moment = None if isinstance(error, FINAL) else self._policy.backoff.next_try(
            job, datetime.now(UTC), luck=random.random(), retry_after_s=told.retry_after_s or 0.0  # noqa: S311 - no secret
        )
        if moment is None:
            await self._fail(job, told)
        else:
            await asyncio.to_thread(self._store.release, job, moment, told.code, str(told))

    async def _fail(self, job: Job, told: ServiceError) -> None:
        await asyncio.to_thread(
            self._store.fail, job, told.code, str(told), parameter=told.parameter,
            deliveries=deliveries_of(job, datetime.now(UTC)),
        )
        self._on_end()
        logger.warning("a job failed for good", job_id=job.id, code=told.code, attempts=job.attempts)


class _Reporter:
    """Notes how far a job is, at most once a second."""

    def __init__(self, store: JobStore, job: Job, bell: Bell) -> None:
        self._store = store
        self._job = job
        self._bell = bell
        self._newest: Progress | None = None
        self._told_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def tell(self, progress: Progress) -> None:
        self._newest = progress
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= REPORT_EVERY_S and (self._task is None or self._task.done()):
            self._told_at = now
            self._task = asyncio.create_task(self._write(progress))

    async def end(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self, progress: Progress) -> None:
        document: dict[str, Any] = {
            "frames_done": progress.frames_done, "frames_total": progress.frames_total, "verdict": dict(progress.verdict),
        }
        await asyncio.to_thread(self._store.report, self._job, document)
        self._bell.ring()
