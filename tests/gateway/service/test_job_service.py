"""Jobs over a scripted node and real stores: taken in once, answered once, given back, given up, in the right order."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domains.errors import CorruptMedia
from edge_runtime.errors import NodeLost
from gateway.service.answering import Answering
from gateway.service.clips import ClipReader
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.records import Job, JobState
from gateway.service.jobs.runner import JobRunner, RunnerPolicy
from gateway.service.jobs.service import JobPolicy, JobService
from gateway.service.keys import Caller
from gateway.service.records import AnalysisFilter
from gateway.service.trials import Rollouts
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.payloads import FolderPayloadStore
from gateway.store.rollouts import SqlRolloutStore
from tests.edge_only import edge_only
from tests.frame_node import FrameNode
from tests.scripted_node import until

CLINIC = Caller("k", "clinic", frozenset({"read", "admin", "analyze:*"}))
OTHER = Caller("o", "other", frozenset({"read", "analyze:*"}))
QUICK = Backoff(first_s=0.02, longest_s=0.05, most_attempts=3)


@dataclass
class Parts:
    """What a test looks at."""

    node: FrameNode
    jobs: JobService
    store: SqlJobStore
    analyses: SqlAnalysisStore
    images: FolderImageStore
    payloads: FolderPayloadStore
    runner: Callable[[str], JobRunner]
    folder: Path

    async def submit(self, payload: bytes = b"x", key: str = "", **more: object) -> Job:
        return (await self.jobs.submit(CLINIC, "pathology", payload, {}, request_id="r", key=key, **more)).job  # type: ignore[arg-type] # keywords

    async def done(self, job: Job) -> Job:
        return await self.jobs.wait(CLINIC, job.id, 10)

    def all_analyses(self) -> list[str]:
        return [row.id for row in self.analyses.page("clinic", AnalysisFilter(), before_id=None, limit=200)]


def run(
    test: Callable[[Parts], Awaitable[None]], tmp_path: Path, *, node: FrameNode | None = None, runners: int = 1,
    policy: JobPolicy | None = None, lease_s: float = 60.0,
) -> None:
    """Runs a test over a service of its own with so many runners."""
    async def main() -> None:
        database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
        used = node or FrameNode(slots=8)
        rollouts = Rollouts(used, SqlRolloutStore(database))
        await rollouts.restore()
        answering = Answering(used, rollouts.analyse, ClipReader({}, most_frames=9), draws_key_frames=True)
        store, payloads, bell = SqlJobStore(database), FolderPayloadStore(tmp_path / "jobs"), Bell()
        images = FolderImageStore(tmp_path / "images")
        service = JobService(store, SqlDeliveryStore(database), payloads, policy or JobPolicy(1024), bell)

        def runner(owner: str) -> JobRunner:
            rules = RunnerPolicy(slots=4, lease_s=lease_s, poll_s=0.05, storage_pause_s=0.05, backoff=QUICK)
            return JobRunner(store, payloads, images, answering, rollouts, edge_only(service), rules, bell, owner=owner)

        work = [asyncio.create_task(runner(f"runner {number}").run()) for number in range(runners)]
        try:
            async with asyncio.timeout(30):
                await test(Parts(
                    used, service, store, SqlAnalysisStore(database), images, payloads, runner, tmp_path
                ))
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await rollouts.close()
            database.close()

    asyncio.run(main())


def test_a_job_becomes_the_analysis_of_its_own_id_and_its_bytes_go(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit(bytes([77]))
        assert job.state is JobState.QUEUED
        done = await parts.done(job)
        assert done.state is JobState.DONE
        analysis = parts.analyses.get("clinic", job.id)
        assert analysis is not None
        assert analysis.result["label"] == "abnormal"
        assert parts.images.get(job.id, "input") == bytes([77])
        await until(lambda: parts.payloads.get(job.id) is None)

    run(test, tmp_path)


def test_one_key_is_one_job_also_for_those_who_come_at_once_and_while_it_runs(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        jobs = await asyncio.gather(*(parts.submit(key="visit 7") for _ in range(20)))
        assert len({job.id for job in jobs}) == 1
        again = await parts.submit(key="visit 7")
        await parts.done(again)
        assert (await parts.submit(key="visit 7")).state is JobState.DONE
        assert len(parts.node.runs) == 1
        assert parts.all_analyses() == [jobs[0].id]
        assert len(list((parts.folder / "jobs").rglob("*-*"))) == 0, "bytes of repetitions are not kept"

    run(test, tmp_path, node=FrameNode(takes_s=0.1))


def test_another_request_under_a_key_is_refused_and_another_tenant_has_its_own_keys(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        first = await parts.submit(b"x", key="k")
        with pytest.raises(ServiceError) as refused:
            await parts.submit(b"y", key="k")
        assert refused.value.code is ErrorCode.IDEMPOTENCY_KEY_REUSED
        other = (await parts.jobs.submit(OTHER, "pathology", b"y", {}, request_id="r", key="k")).job
        assert other.id != first.id
        with pytest.raises(ServiceError) as hidden:
            await parts.jobs.get(OTHER, first.id)
        assert hidden.value.code is ErrorCode.NOT_FOUND

    run(test, tmp_path)


def test_many_runners_answer_many_jobs_once_each(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        jobs = [await parts.submit(bytes([number])) for number in range(60)]
        for job in jobs:
            assert (await parts.done(job)).state is JobState.DONE
        assert sorted(run.payload[0] for run in parts.node.runs) == list(range(60))
        assert sorted(parts.all_analyses()) == sorted(job.id for job in jobs)

    run(test, tmp_path, runners=4)


def test_what_a_device_or_a_node_is_guilty_of_is_tried_again(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        done = await parts.done(await parts.submit())
        assert (done.state, done.attempts) == (JobState.DONE, 3)

    run(test, tmp_path, node=FrameNode(busy=2, refusal=NodeLost("gone")))


def test_a_job_that_meets_nothing_but_lost_nodes_becomes_a_dead_letter_and_can_be_taken_back(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.done(await parts.submit())
        assert (job.state, job.attempts, job.error_code) == (JobState.FAILED, 3, "UNAVAILABLE")
        assert job.error_message == "the node is gone"
        assert parts.payloads.get(job.id) is not None, "its bytes are there for another try"
        parts.node.busy = 0
        await parts.jobs.retry(CLINIC, job.id)
        assert (await parts.done(job)).state is JobState.DONE

    run(test, tmp_path, node=FrameNode(busy=99, refusal=NodeLost("the node is gone")))


def test_what_the_file_is_guilty_of_fails_at_once_with_its_sentence(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.done(await parts.submit())
        assert (job.state, job.attempts, job.error_code, job.error_message) == (JobState.FAILED, 1, "CORRUPT_MEDIA", "it is cut short")

    run(test, tmp_path, node=FrameNode(fails=CorruptMedia("it is cut short")))


def test_an_unforeseen_error_is_tried_again_and_its_text_stays_behind(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.done(await parts.submit())
        assert (job.state, job.attempts, job.error_code) == (JobState.FAILED, 3, "INTERNAL")
        assert "DOE" not in job.error_message

    run(test, tmp_path, node=FrameNode(fails=RuntimeError("DOE^JANE")))


def test_a_cancelled_job_gives_no_answer_even_if_it_runs(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit()
        await until(lambda: parts.node.running)
        assert (await parts.jobs.cancel(CLINIC, job.id)).state is JobState.CANCELLED
        await until(lambda: not parts.node.running)
        await asyncio.sleep(0.1)
        assert parts.all_analyses() == []
        assert (await parts.jobs.get(CLINIC, job.id)).state is JobState.CANCELLED

    run(test, tmp_path, node=FrameNode(takes_s=0.2))


def test_work_on_a_job_that_is_cancelled_stops_at_once(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job, other = await parts.submit(), await parts.submit(b"other")
        await until(lambda: parts.node.running == 2)
        await parts.jobs.cancel(CLINIC, job.id)
        await until(lambda: parts.node.running == 1)
        assert parts.node.cancelled == 1
        assert (await parts.jobs.get(CLINIC, other.id)).state is JobState.RUNNING

    run(test, tmp_path, node=FrameNode(takes_s=60.0, slots=8))


def test_a_runner_that_stops_gives_its_jobs_to_the_next_at_once(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit()
        first = asyncio.create_task(parts.runner("first").run())
        await until(lambda: parts.node.running)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        parts.node.takes_s = 0.0
        second = asyncio.create_task(parts.runner("second").run())
        done = await parts.done(job)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert (done.state, done.attempts) == (JobState.DONE, 2)

    run(test, tmp_path, node=FrameNode(takes_s=5.0), runners=0)


def test_a_runner_that_lost_its_lease_stops_and_what_it_made_is_thrown_away(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit()
        await until(lambda: parts.node.running)
        later = datetime.now(UTC) + timedelta(hours=1)
        (taken,) = parts.store.claim("another gateway", later, lease_s=60, limit=1)
        assert taken.id == job.id
        await until(lambda: not parts.node.running)
        await asyncio.sleep(0.1)
        assert parts.all_analyses() == []
        assert (await parts.jobs.get(CLINIC, job.id)).owner == "another gateway"

    run(test, tmp_path, node=FrameNode(takes_s=2.0), lease_s=0.3)


def test_a_job_that_ends_its_runners_again_and_again_is_given_up(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit()
        now = datetime.now(UTC)
        for number in range(QUICK.most_attempts):
            assert parts.store.claim(f"dead {number}", now + timedelta(hours=number), lease_s=1, limit=1)
        held = await parts.jobs.get(CLINIC, job.id)
        assert parts.store.release(held, now, "", "")
        runner = asyncio.create_task(parts.runner("careful").run())
        done = await parts.done(job)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
        assert (done.state, done.error_code) == (JobState.FAILED, "INPUT_BREAKS_WORKER")
        assert not parts.node.runs

    run(test, tmp_path, runners=0)


def test_more_than_the_disk_may_hold_is_refused_and_what_was_accepted_stays(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        accepted = [await parts.submit(bytes(100)) for _ in range(3)]
        with pytest.raises(ServiceError) as refused:
            await parts.submit(bytes(100))
        assert refused.value.code is ErrorCode.STORAGE_FULL
        assert refused.value.retry_after_s
        assert all(parts.payloads.get(job.id) == bytes(100) for job in accepted)

    run(test, tmp_path, runners=0, policy=JobPolicy(1024, max_queued_bytes=350))


def test_jobs_too_large_or_of_a_domain_that_the_key_lacks_are_refused_before_anything_is_kept(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        with pytest.raises(ServiceError) as large:
            await parts.submit(bytes(2000))
        assert large.value.code is ErrorCode.PAYLOAD_TOO_LARGE
        with pytest.raises(ServiceError) as denied:
            await parts.jobs.submit(replace(OTHER, scopes=frozenset()), "pathology", b"x", {}, request_id="r")
        assert denied.value.code is ErrorCode.PERMISSION_DENIED
        assert parts.payloads.size_bytes() == 0

    run(test, tmp_path)


def test_bytes_without_a_row_and_jobs_past_their_time_are_swept(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        old = "01890a5c-7f3e-7c1b-9d55-0d5b8f6f2a10"
        parts.payloads.put(old, b"orphan")
        waiting = await parts.submit(expires_s=0.01)
        await asyncio.sleep(0.05)
        await parts.jobs.sweep()
        assert parts.payloads.get(old) is None
        expired = await parts.jobs.get(CLINIC, waiting.id)
        assert (expired.state, expired.error_code) == (JobState.FAILED, "EXPIRED")

    run(test, tmp_path, runners=0)


def test_a_watcher_sees_each_change_and_the_end(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.submit()
        states = [seen.state async for seen in parts.jobs.watch(CLINIC, job.id)]
        assert states[-1] is JobState.DONE
        assert states == list(dict.fromkeys(states))

    run(test, tmp_path, node=FrameNode(takes_s=0.1))


def test_a_callback_is_stored_with_the_end_of_its_job(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.done(await parts.submit(callback={"url": "https://clinic.example/done"}))
        (delivery,) = await parts.jobs.deliveries(CLINIC, job.id)
        assert (delivery.url, delivery.tenant) == ("https://clinic.example/done", "clinic")

    run(test, tmp_path)


def test_a_disk_that_is_full_for_long_costs_a_job_no_attempt(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        kept = parts.folder / "images"
        kept.rmdir()
        kept.touch()
        job = await parts.submit()
        await until(lambda: len(parts.node.runs) > 2 * QUICK.most_attempts)
        waiting = await parts.jobs.get(CLINIC, job.id)
        assert waiting.state in (JobState.QUEUED, JobState.RUNNING)
        kept.unlink()
        kept.mkdir()
        assert (await parts.done(job)).state is JobState.DONE

    run(test, tmp_path)


def test_a_database_that_fails_at_the_end_costs_the_lease_and_not_the_answer(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        with sqlite3.connect(parts.folder / "hedgerow.db", timeout=5) as other:
            job = await parts.submit()
            await until(lambda: parts.node.running)
            other.execute("ALTER TABLE analyses RENAME TO elsewhere")
        await asyncio.sleep(0.8)
        with sqlite3.connect(parts.folder / "hedgerow.db", timeout=5) as other:
            other.execute("ALTER TABLE elsewhere RENAME TO analyses")
        done = await parts.done(job)
        assert done.state is JobState.DONE
        assert parts.all_analyses() == [job.id]

    run(test, tmp_path, node=FrameNode(takes_s=0.5), lease_s=0.9)
