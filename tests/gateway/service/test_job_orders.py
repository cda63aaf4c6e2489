"""Who waits for a job when the gateway stops."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.service.clips import Progress
from gateway.service.errors import ErrorCode
from gateway.service.jobs.orders import JobDesk, Order, Receipt, StillOpen
from gateway.service.jobs.records import Job, JobState
from gateway.service.keys import ANALYZE_ALL, READ, Caller
from tests.edge_only import edge_only
from tests.gateway.rest.scripted_services import ScriptedAnalyses
from tests.gateway.scripted_jobs import ScriptedJobs

CALLER = Caller("key", "clinic", frozenset({ANALYZE_ALL, READ}))
PATIENCE_S = 5.0


def when_stopped(waiting: Callable[[JobDesk, Receipt], Awaitable[None]]) -> Job:
    """Has somebody wait for a job, and the gateway stop meanwhile. Gives the job."""
    async def test() -> Job:
        jobs = ScriptedJobs()
        desk = JobDesk(jobs, ScriptedAnalyses(), edge_only(jobs), private_callbacks=False)
        receipt = await desk.order(CALLER, "pathology", b"scan", {}, Order("request-1", "key"))
        asyncio.get_running_loop().call_later(0.1, desk.stop)
        async with asyncio.timeout(PATIENCE_S):
            await waiting(desk, receipt)
        return receipt.job

    return asyncio.run(test())


def test_whoever_waits_for_an_answer_is_given_the_open_job() -> None:
    async def wait(desk: JobDesk, receipt: Receipt) -> None:
        job, analysis = await desk.wait(CALLER, receipt.job, 60)
        assert (job.state, analysis) == (JobState.QUEUED, None)

    when_stopped(wait)


def test_whoever_follows_it_is_told_that_it_goes_on() -> None:
    async def follow(desk: JobDesk, receipt: Receipt) -> None:
        told: list[Progress] = []
        with pytest.raises(StillOpen, match=f"the gateway stops; the job {receipt.job.id} goes on") as caught:
            await desk.follow(CALLER, receipt.job, told.append)
        assert (caught.value.code, told) == (ErrorCode.UNAVAILABLE, [])

    when_stopped(follow)


def test_whoever_watches_it_sees_no_more_changes() -> None:
    async def watch(desk: JobDesk, receipt: Receipt) -> None:
        assert [job.id async for job in desk.watch(CALLER, receipt.job.id)] == [receipt.job.id]

    when_stopped(watch)
