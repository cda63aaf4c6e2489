"""Jobs that do as a test says: kept in memory, and changed from the test's own thread."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.records import Delivery, Job, JobFilter, JobPriority, JobState, Submission, fingerprint
from gateway.service.jobs.service import OPEN, JobPage, JobService
from gateway.service.keys import ADMIN, ANALYZE_ALL, READ, Caller
from gateway.service.records import Analysis, new_id

LOOK_EVERY_S = 0.005


class ScriptedJobs(JobService):
    """`kept`: every job by its id, oldest first. `payloads`: their files. `runs`: what a new job becomes at once.
    `fails`: what a submission raises. `sent`: the deliveries that there are.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Job] = {}
        self.payloads: dict[str, bytes] = {}
        self.runs: Callable[[Job], Job] = lambda job: job
        self.fails: Exception | None = None
        self.sent: list[Delivery] = []

    def newest(self, count: int = 1) -> Job:
        """The job that came last, once there are so many. From any thread."""
        deadline = time.monotonic() + 10
        while len(self.kept) < count:
            assert time.monotonic() < deadline, "no job came"
            time.sleep(LOOK_EVERY_S)
        return list(self.kept.values())[-1]

    def change(self, job: Job, **fields: Any) -> Job:
        """What becomes of a job. From any thread."""
        changed = replace(self.kept[job.id], updated_at=datetime.now(UTC), **fields)
        self.kept[job.id] = changed
        return changed

    async def submit(
        self, caller: Caller, domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str,
        key: str = "", priority: JobPriority = "interactive", expires_s: float | None = None, mission: str = "",
        callback: Mapping[str, Any] | None = None, consents: tuple[str, ...] = (),
    ) -> Submission:
        """At once, and in memory only."""
        caller.require_analyze(domain)
        if self.fails is not None:
            raise self.fails
        sha256, now = hashlib.sha256(payload).hexdigest(), datetime.now(UTC)
        printed = fingerprint(domain, dict(parameters), sha256)
        for job in self.kept.values():
            if key and (job.tenant, job.key) == (caller.tenant, key):
                if job.fingerprint != printed:
                    raise ServiceError(ErrorCode.IDEMPOTENCY_KEY_REUSED, "the key was used for another request")
                return Submission(job, is_new=False)
        job = self.runs(Job(
            id=new_id(), tenant=caller.tenant, domain=domain, parameters=parameters, request_id=request_id,
            size_bytes=len(payload), sha256=sha256, fingerprint=printed, created_at=now, updated_at=now, not_before=now,
            priority=priority, expires_at=None if expires_s is None else now + timedelta(seconds=expires_s),
            mission=mission, key=key, callback=callback,
            consents=consents,
        ))
        self.kept[job.id], self.payloads[job.id] = job, payload
        return Submission(job, is_new=True)

    async def wait(self, caller: Caller, job_id: str, timeout_s: float) -> Job:
        """Looks again and again."""
        deadline = time.monotonic() + timeout_s
        while (job := await self.get(caller, job_id)).state in OPEN and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)
        return job

    async def get(self, caller: Caller, job_id: str) -> Job:
        """As it is now."""
        caller.require(READ)
        return self._own(caller, job_id)

    async def page(self, caller: Caller, chosen: JobFilter, *, cursor: str | None, limit: int) -> JobPage:
        """Newest first."""
        caller.require(READ)
        found = [
            job for job in reversed(self.kept.values())
            if job.tenant == caller.tenant and chosen.state in {None, job.state}
            and chosen.mission in {None, job.mission} and (cursor is None or job.id < cursor)
        ]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """Where it is open."""
        job = self._own(caller, job_id)
        caller.require(ANALYZE_ALL, f"analyze:{job.domain}", ADMIN)
        return self.change(job, state=JobState.CANCELLED) if job.state in OPEN else job

    async def retry(self, caller: Caller, job_id: str) -> Job:
        """Where it failed."""
        caller.require(ADMIN)
        job = self._own(caller, job_id)
        return self.change(job, state=JobState.QUEUED) if job.state is JobState.FAILED else job

    async def mission(self, caller: Caller, mission_id: str) -> Mapping[JobState, int]:
        """Counted afresh."""
        caller.require(READ)
        states = [job.state for job in self.kept.values() if (job.tenant, job.mission) == (caller.tenant, mission_id)]
        return {state: states.count(state) for state in JobState}

    async def watch(self, caller: Caller, job_id: str) -> AsyncIterator[Job]:
        """Now, and then whenever it looks different."""
        told: Job | None = None
        while told is None or told.state in OPEN:
            job = await self.get(caller, job_id)
            if job != told:
                told = job
                yield job
            await asyncio.sleep(LOOK_EVERY_S)

    async def deliveries(self, caller: Caller, job_id: str) -> Sequence[Delivery]:
        """Those of the job."""
        job = await self.get(caller, job_id)
        return [row for row in self.sent if row.job_id == job.id]

    def _own(self, caller: Caller, job_id: str) -> Job:
        job = self.kept.get(job_id)
        if job is None or job.tenant != caller.tenant:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no job of that id")
        return job


def analysis_of(job: Job, **fields: Any) -> Analysis:
    """An answer to a job, of which only a little is there unless it is given."""
    stages = ("queue", "decode", "preprocess", "infer", "postprocess", "total")
    made: dict[str, Any] = {
        "media": {"format": "png"}, "provenance": {"device": "cpu", "timings_ms": dict.fromkeys(stages, 1.0)},
        "result": {"kind": "classification", "label": "normal"},
    }
    return Analysis(
        id=job.id, tenant=job.tenant, domain=job.domain, created_at=job.created_at, request_id=job.request_id,
        model="lung_ultrasound", label="normal", abstained=False, parameters=job.parameters, **made | fields,
    )
