"""Jobs for callers: taken in, looked at, waited for, cancelled. runner.py works on them.

What `submit` has returned for is safe: first the bytes lie on disk, then the row is committed.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domains import registry
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.callbacks import deliveries_of
from gateway.service.jobs.payloads import PayloadStore
from gateway.service.jobs.ports import DeliveryStore, JobStore
from gateway.service.jobs.records import (
    Delivery,
    Job,
    JobFilter,
    JobPriority,
    JobState,
    Submission,
    Tier,
    fingerprint,
)
from gateway.service.keys import ADMIN, READ, Caller
from gateway.service.records import new_id
from gateway.service.routing.rules import Usage

OPEN = (JobState.QUEUED, JobState.RUNNING)
LOOK_EVERY_S = 0.5
"""How often a job that another gateway may be working on is looked at."""
SIZE_EVERY_S = 5.0
"""For how long the size of what waits is taken for true, new jobs added."""
MAX_PAGE = 200
FULL_RETRY_S = 60.0
ORPHAN_AGE = timedelta(hours=1)
"""Bytes older than this whose job isn't open belong to nobody."""
SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """`max_upload_bytes`: of one job; `max_queued_bytes`: of all that wait; `keep`: jobs that are final."""

    max_upload_bytes: int
    max_queued_bytes: int = 8 * 1024**3
    keep: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of a listing, newest first. `next_id` is the cursor of the next one; None on the last."""

    jobs: Sequence[Job]
    next_id: str | None


class JobService:
    """Use from one event loop. Methods raise ServiceError or DomainError."""

    def __init__(
        self, store: JobStore, deliveries: DeliveryStore, payloads: PayloadStore, policy: JobPolicy, bell: Bell
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._payloads = payloads
        self._policy = policy
        self._bell = bell
        self._queued_bytes = 0
        self._sized_at = float("-inf")

    async def submit(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, key: str = "",
        priority: JobPriority = "interactive", expires_s: float | None = None, mission: str = "",
        callback: Mapping[str, Any] | None = None, consents: tuple[str, ...] = (),
    ) -> Submission:
        """The new job, or the one that holds the key. When it returns, the job survives a crash.

        Raises IDEMPOTENCY_KEY_REUSED where another request has the key, STORAGE_FULL where the disk has no room for more.
        """
        _admit(caller, domain)
        job = new_job(
            caller.tenant, domain, parameters, request_id, key=key, priority=priority, mission=mission, callback=callback,
            consents=consents, size_bytes=len(payload), sha256=hashlib.sha256(payload).hexdigest(),
            expires_at=None if expires_s is None else datetime.now(UTC) + timedelta(seconds=expires_s),
        )
        return await self._take_in(job, lambda: self._payloads.put(job.id, payload))

    async def submit_file(
        self, caller: Caller, domain: str, path: Path, parameters: Mapping[str, Any], *, request_id: str, key: str = "",
        callback: Mapping[str, Any] | None = None, consents: tuple[str, ...] = (),
    ) -> Submission:
        """The same with a file, which is taken over."""
        _admit(caller, domain)
        size_bytes, sha256 = await asyncio.to_thread(_measured, path)
        job = new_job(
            caller.tenant, domain, parameters, request_id, key=key, callback=callback, consents=consents,
            size_bytes=size_bytes, sha256=sha256,
        )
        return await self._take_in(job, lambda: self._payloads.take(job.id, path))

    async def take(self, job: Job, payload: bytes) -> Submission:
        """The same for a job that the gateway itself makes of a request which it has let in."""
        return await self._take_in(job, lambda: self._payloads.put(job.id, payload))

    async def hand_over(self, job: Job, why: str, *, expires_at: datetime | None) -> None:
        """A running job goes from the edge to the cloud."""
        await asyncio.to_thread(self._store.hand_over, job, "cloud", why, expires_at)
        self._bell.ring()

    async def used(self, tenant: str, domain: str, since: datetime) -> Usage:
        """What went to the cloud since then, or is to go; an empty domain is all of them."""
        return await asyncio.to_thread(self._store.used, tenant, domain, since)

    async def wait(self, caller: Caller, job_id: str, timeout_s: float) -> Job:
        """The job once it is final, or as it is after so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (job := await self.get(caller, job_id)).state in OPEN and (left_s := deadline - loop.time()) > 0:
            await self._bell.wait(min(LOOK_EVERY_S, left_s))
        return job

    async def watch(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """The job now and at each change, until it is final."""
        told: Job | None = None
        while True:
            job = await self.get(caller, job_id)
            if told is None or (job.state, job.attempts, job.progress) != (told.state, told.attempts, told.progress):
                told = job
                yield job
            if job.state not in OPEN:
                return
            await self._bell.wait(LOOK_EVERY_S)

    async def get(self, caller: Caller, job_id: str) -> Job:
        """One job of the caller's tenant. Raises NOT_FOUND."""
        caller.require(READ)
        return _found(await asyncio.to_thread(self._store.get, caller.tenant, job_id))

    async def page(self, caller: Caller, chosen: JobFilter, *, cursor: str | None, limit: int) -> JobPage:
        """A page of the caller's tenant's jobs, newest first."""
        caller.require(READ)
        if not 1 <= limit <= MAX_PAGE:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"a page has 1 to {MAX_PAGE} jobs", parameter="limit")
        try:
            jobs = await asyncio.to_thread(self._store.page, caller.tenant, chosen, before_id=cursor, limit=limit + 1)
        except ValueError:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "not a cursor of an earlier page", parameter="cursor") from None
        return JobPage(jobs[:limit], jobs[limit - 1].id if len(jobs) > limit else None)

    async def mission(self, caller: Caller, mission: str) -> Mapping[JobState, int]:
        """How many jobs of a batch are in each state."""
        caller.require(READ)
        return await asyncio.to_thread(self._store.mission, caller.tenant, mission)

    async def deliveries(self, caller: Caller, job_id: str) -> Sequence[Delivery]:
        """What was sent, or is to be sent, to the job's callback."""
        job = await self.get(caller, job_id)
        return await asyncio.to_thread(self._deliveries.of_job, job.tenant, job.id)

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """The job as it is then: cancelled, unless it was final before."""
        job = _found(await asyncio.to_thread(self._store.get, caller.tenant, job_id))
        if ADMIN not in caller.scopes:
            caller.require_analyze(job.domain)
        return _found(await self.withdraw(caller.tenant, job_id))

    async def withdraw(self, tenant: str, job_id: str) -> Job | None:
        """The same for the gateway itself; None where there is no such job."""
        job = await asyncio.to_thread(self._store.cancel, tenant, job_id)
        if job is not None and job.state is JobState.CANCELLED:
            self._bell.withdrawn(job.id)
            await asyncio.to_thread(self._payloads.delete, [job.id])
        return job

    async def retry(self, caller: Caller, job_id: str) -> Job:
        """A dead letter back in the queue; unchanged where it is none. Raises GONE where its bytes are no longer kept."""
        caller.require(ADMIN)
        job = _found(await asyncio.to_thread(self._store.get, caller.tenant, job_id))
        if job.state is JobState.FAILED and await asyncio.to_thread(self._payloads.get, job.id) is None:
            raise ServiceError(ErrorCode.GONE, "the bytes of this job are no longer kept")
        job = _found(await asyncio.to_thread(self._store.retry, caller.tenant, job_id))
        self._bell.ring()
        return job

    async def sweep(self) -> int:
        """Ends jobs that nobody wants any more, and removes what is past its retention; gives how many things went."""
        now = datetime.now(UTC)
        expired = await asyncio.to_thread(
            self._store.expire, now, limit=SWEEP_LIMIT, deliveries=lambda job: deliveries_of(job, now)
        )
        old = await asyncio.to_thread(self._store.delete_finished, now - self._policy.keep, limit=SWEEP_LIMIT)
        await asyncio.to_thread(self._payloads.delete, old)
        orphans = await asyncio.to_thread(self._orphans, now - ORPHAN_AGE)
        await asyncio.to_thread(self._payloads.delete, orphans)
        if expired:
            self._bell.ring()
        return len(expired) + len(old) + len(orphans)

    def _orphans(self, before: datetime) -> list[str]:
        """Bytes whose job was never stored, or is done."""
        aged = self._payloads.older(before, limit=SWEEP_LIMIT)
        needed = self._store.unanswered(aged)
        return [job_id for job_id in aged if job_id not in needed]

    async def _take_in(self, job: Job, keep: Callable[[], None]) -> Submission:
        if job.size_bytes > self._policy.max_upload_bytes:
            raise ServiceError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"the upload is larger than {self._policy.max_upload_bytes} bytes, which is the limit"
            )
        await self._check_room(job.size_bytes)
        try:
            await asyncio.to_thread(keep)
        except OSError as error:
            raise ServiceError(
                ErrorCode.STORAGE_FULL, f"the disk takes no more ({error.strerror}); nothing was accepted",
                retry_after_s=FULL_RETRY_S,
            ) from error
        submission = await asyncio.to_thread(self._store.submit, job)  # where it fails, bytes without a row are swept later
        if submission.is_new:
            self._queued_bytes += job.size_bytes
            self._bell.ring()
            return submission
        await asyncio.to_thread(self._payloads.delete, [job.id])
        if submission.job.fingerprint != job.fingerprint:
            raise ServiceError(
                ErrorCode.IDEMPOTENCY_KEY_REUSED, "this idempotency key was used for another request: another file, domain "
                "or other parameters", parameter="Idempotency-Key",
            )
        return submission

    async def _check_room(self, size_bytes: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._sized_at > SIZE_EVERY_S:
            self._queued_bytes = await asyncio.to_thread(self._payloads.size_bytes)
            self._sized_at = now
        if self._queued_bytes + size_bytes > self._policy.max_queued_bytes:
            raise ServiceError(
                ErrorCode.STORAGE_FULL, f"what waits takes all of the {self._policy.max_queued_bytes} bytes that there are for it",
                retry_after_s=FULL_RETRY_S,
            )


def new_job(
    tenant: str, domain: str, parameters: Mapping[str, Any], request_id: str, *, size_bytes: int, sha256: str, key: str = "",
    priority: JobPriority = "interactive", mission: str = "", callback: Mapping[str, Any] | None = None,
    consents: tuple[str, ...] = (), expires_at: datetime | None = None, tier: Tier = "edge", why: str = "",
    opinion_on: str = "",
) -> Job:
    """A job of a file of that size and hash (hex), which nobody has stored yet."""
    now = datetime.now(UTC)
    return Job(
        id=new_id(), tenant=tenant, domain=domain, parameters=dict(parameters), request_id=request_id,
        size_bytes=size_bytes, sha256=sha256, fingerprint=fingerprint(domain, dict(parameters), sha256), created_at=now,
        updated_at=now, not_before=now, priority=priority, key=key, mission=mission, expires_at=expires_at,
        callback=None if callback is None else dict(callback), tier=tier, why=why, opinion_on=opinion_on, consents=consents,
    )


def _admit(caller: Caller, domain: str) -> None:
    registry.check_name(domain)
    caller.require_analyze(domain)


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _found(job: Job | None) -> Job:
    if job is None:
        raise ServiceError(ErrorCode.NOT_FOUND, "there is no job of that id")
    return job
