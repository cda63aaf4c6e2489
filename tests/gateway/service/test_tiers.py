"""Who answers, over a scripted node and real stores: the edge, the cloud in its place, or the cloud besides."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import DeadlineExceeded, NodeLost, Overloaded
from gateway.service.analyses import AnalysisService, Policy
from gateway.service.answering import Answering
from gateway.service.archive import Archive
from gateway.service.clips import ClipReader
from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.bell import Bell
from gateway.service.jobs.orders import JobDesk, Order, StillOpen
from gateway.service.jobs.records import Job, JobFilter, JobState
from gateway.service.jobs.runner import JobRunner, RunnerPolicy
from gateway.service.jobs.service import JobPolicy, JobService, new_job
from gateway.service.keys import Caller
from gateway.service.records import Analysis, new_id
from gateway.service.routing.rules import Routes, Rule
from gateway.service.tiers import Asked, Tiers
from gateway.service.trials import Rollouts
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.images import FolderImageStore
from gateway.store.jobs import SqlJobStore
from gateway.store.payloads import FolderPayloadStore
from gateway.store.rollouts import SqlRolloutStore
from tests.frame_node import FrameNode

CLINIC = Caller("k", "clinic", frozenset({"read", "admin", "analyze:*"}))
ANY_JOB = JobFilter()
YES = ("cloud",)
CHECKED = Rule(to_cloud=True, audit_share=1.0)
"""Every answer gets a second opinion."""
ALWAYS = Rule(to_cloud=True, mode="always_cloud")
QUICK = Backoff(first_s=0.02, longest_s=0.05, most_attempts=3)


@dataclass
class Parts:
    """What a test looks at."""

    node: FrameNode
    desk: JobDesk
    tiers: Tiers
    jobs: JobService
    analyses: AnalysisService
    payloads: FolderPayloadStore
    store: SqlJobStore

    async def analyse(self, payload: bytes = b"\x63", consents: tuple[str, ...] = YES, **more: Any) -> Analysis:
        used: dict[str, Any] = {"timeout_s": 10.0, **more}
        return await self.desk.analyse(CLINIC, "pathology", payload, {}, request_id="r", consents=consents, **used)

    async def handed_in(self, consents: tuple[str, ...] = YES, callback: str = "") -> Job:
        order = Order("r", "a key", consents=consents, callback_url=callback)
        return (await self.desk.order(CLINIC, "pathology", b"\x63", {}, order)).job

    async def job(self, job_id: str) -> Job:
        return await self.jobs.get(CLINIC, job_id)

    def for_cloud(self) -> list[Job]:
        return [job for job in self.store.page("clinic", ANY_JOB, before_id=None, limit=200) if job.tier == "cloud"]


def run(
    test: Callable[[Parts], Awaitable[None]], tmp_path: Path, rule: Rule, *, node: FrameNode | None = None,
    runners: int = 1,
) -> None:
    """Runs a test over services of its own, of which the cloud's part never works on anything."""
    async def main() -> None:
        database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
        used = node or FrameNode(slots=8)
        rollouts, images = Rollouts(used, SqlRolloutStore(database)), FolderImageStore(tmp_path / "images")
        await rollouts.restore()
        answering = Answering(used, rollouts.analyse, ClipReader({}, most_frames=9), draws_key_frames=True)
        store, payloads, bell = SqlJobStore(database), FolderPayloadStore(tmp_path / "jobs"), Bell()
        jobs = JobService(store, SqlDeliveryStore(database), payloads, JobPolicy(1024, max_queued_bytes=4000), bell)
        tiers = Tiers(Routes((rule,)), jobs, used, patience=timedelta(days=7))
        analyses = SqlAnalysisStore(database)
        archive = Archive(analyses, images, keep_images=True)
        policy = Policy(1024, 10.0, timedelta(hours=1), timedelta(days=1))
        service = AnalysisService(used, analyses, images, policy, rollouts, archive, answering, tiers)
        desk = JobDesk(jobs, service, tiers, private_callbacks=True)
        rules = RunnerPolicy(slots=4, poll_s=0.05, backoff=QUICK)
        runner = JobRunner(store, payloads, images, answering, rollouts, tiers, rules, bell, owner="one")
        work = [asyncio.create_task(runner.run()) for _ in range(runners)]
        try:
            async with asyncio.timeout(30):
                await test(Parts(used, desk, tiers, jobs, service, payloads, store))
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await rollouts.close()
            await service.close()
            database.close()

    asyncio.run(main())


def opinion_of(analysis: Analysis) -> Mapping[str, Any]:
    """What its provenance says of a second opinion."""
    opinion: Mapping[str, Any] = analysis.provenance["second_opinion"]
    return opinion


def test_the_edge_answers_at_once_and_says_that_another_opinion_follows(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        analysis = await parts.analyse()
        assert (analysis.provenance["tier"], analysis.provenance["provisional"]) == ("edge", True)
        job = await parts.job(opinion_of(analysis)["job"])
        assert (job.tier, job.why, job.opinion_on, job.consents) == ("cloud", "audit", analysis.id, YES)
        assert parts.payloads.get(job.id) == b"\x63", "its bytes wait on the disk"
        assert job.parameters == {"exam": "lung_ultrasound"}, "what the edge found out stands in the place of the header"
        assert job.expires_at is not None
        assert job.expires_at - job.created_at == pytest.approx(timedelta(days=7), abs=timedelta(seconds=5))

    run(test, tmp_path, CHECKED)


def test_without_a_rule_nothing_is_asked_and_nothing_said(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        analysis = await parts.analyse()
        assert not {"provisional", "second_opinion"} & set(analysis.provenance)
        assert not parts.for_cloud()

    run(test, tmp_path, Rule())


def test_a_busy_edge_refuses_what_may_not_leave(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.node.refusal, parts.node.busy = Overloaded("full", retry_after_s=1.0), 1
        with pytest.raises(Overloaded):
            await parts.analyse(consents=("learning",))
        assert not parts.for_cloud()

    run(test, tmp_path, CHECKED)


def test_an_unsure_answer_says_why_nobody_else_was_asked(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        sure = await parts.analyse(consents=())
        assert "second_opinion" not in sure.provenance
        unsure = replace(sure, result={**sure.result, "abstained": True})
        said = await parts.tiers.judged(Asked("clinic", "pathology", b"\x63", {}, "r"), unsure)
        assert opinion_of(said) == {
            "job": None, "why": "unsure", "note": "the request doesn't consent to the picture leaving for the cloud",
        }
        assert "provisional" not in said.provenance
        assert not parts.for_cloud()

    run(test, tmp_path, CHECKED)


def test_an_opinion_is_asked_for_once_however_often_its_answer_is_made(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        analysis = await parts.analyse()
        first = opinion_of(analysis)["job"]
        asked = Asked("clinic", "pathology", b"\x63", {}, "r", YES)
        bare = replace(analysis, provenance={"tier": "edge", "tier_reason": "it was there"})
        again = await parts.tiers.judged(asked, bare)
        assert opinion_of(again)["job"] == first
        assert len(parts.for_cloud()) == 1

    run(test, tmp_path, CHECKED)


def test_the_draw_of_an_audit_is_the_jobs_own_and_about_as_frequent_as_was_asked(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        made = replace(await parts.analyse(), provenance={"tier": "edge", "tier_reason": "it was there"})
        asked = Asked("clinic", "pathology", b"\x63", {}, "r", YES)
        before, ids = len(parts.for_cloud()), [new_id() for _ in range(60)]
        drawn = [[bool((await parts.tiers.judged(asked, replace(made, id=one))).provenance.get("provisional")) for one in ids]
                 for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert 10 <= sum(drawn[0]) == len(parts.for_cloud()) - before <= 50

    run(test, tmp_path, replace(CHECKED, audit_share=0.5))


def test_a_used_up_budget_asks_for_no_more_audits(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        for _ in range(3):
            await parts.analyse()
        assert len(parts.for_cloud()) == 2

    run(test, tmp_path, replace(CHECKED, daily_answers=2))


def test_a_busy_edge_leaves_the_request_to_the_cloud_and_the_caller_learns_of_the_job(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.node.refusal, parts.node.busy = Overloaded("full", retry_after_s=1.0), 1
        with pytest.raises(StillOpen) as caught:
            await parts.analyse(timeout_s=0.3)
        job = await parts.job(caught.value.job_id)
        assert (job.tier, job.why, job.opinion_on, job.state) == ("cloud", "edge_busy", "", JobState.QUEUED)

    run(test, tmp_path, Rule(to_cloud=True))


def test_a_request_that_is_late_becomes_a_job_unless_it_names_its_own_deadline(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.node.refusal, parts.node.busy = DeadlineExceeded("late"), 2
        with pytest.raises(DeadlineExceeded):
            await parts.analyse()
        with pytest.raises(StillOpen) as caught:
            await parts.analyse(timeout_s=None)
        done = await parts.jobs.wait(CLINIC, caught.value.job_id, 10)
        assert (done.state, done.tier) == (JobState.DONE, "edge")

    run(test, tmp_path, Rule())


def test_a_job_whose_edge_is_down_goes_over_with_its_bytes(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.node.refusal, parts.node.busy = NodeLost("gone"), 1
        job = await parts.handed_in()
        while (now := await parts.job(job.id)).tier == "edge":
            await asyncio.sleep(0.02)
        assert (now.state, now.why, now.attempts) == (JobState.QUEUED, "edge_down", 0)
        assert now.expires_at is not None
        assert parts.payloads.get(job.id) == b"\x63"

    run(test, tmp_path, Rule(to_cloud=True))


def test_a_job_without_consent_waits_for_the_edge(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.node.refusal, parts.node.busy = NodeLost("gone"), 1
        job = await parts.handed_in(consents=())
        done = await parts.jobs.wait(CLINIC, job.id, 10)
        assert (done.state, done.tier, done.attempts) == (JobState.DONE, "edge", 2)

    run(test, tmp_path, Rule(to_cloud=True))


def test_what_is_always_the_clouds_never_runs_here(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        with pytest.raises(StillOpen):
            await parts.analyse(timeout_s=0.3)
        job = await parts.handed_in()
        while (await parts.job(job.id)).tier == "edge":
            await asyncio.sleep(0.02)
        assert [job.why for job in parts.for_cloud()] == ["always_cloud", "always_cloud"]
        assert not parts.node.runs

    run(test, tmp_path, ALWAYS)


def test_what_should_be_the_clouds_but_may_not_leave_is_answered_here_and_says_why(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        analysis = await parts.analyse(consents=())
        assert analysis.provenance["tier"] == "edge"
        assert "the request doesn't consent" in analysis.provenance["tier_reason"]
        job = await parts.handed_in(consents=())
        await parts.jobs.wait(CLINIC, job.id, 10)
        kept = await parts.desk.outcome(CLINIC, await parts.job(job.id))
        assert "the request doesn't consent" in kept.provenance["tier_reason"]

    run(test, tmp_path, ALWAYS)


def test_what_came_back_from_the_cloud_is_answered_here_for_good(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = new_job(
            "clinic", "pathology", {}, "r", size_bytes=1, sha256="0" * 64, tier="edge", why="held_back", consents=YES
        )
        await parts.jobs.take(job, b"\x63")
        done = await parts.jobs.wait(CLINIC, job.id, 10)
        assert (done.state, done.tier) == (JobState.DONE, "edge")
        analysis = await parts.desk.outcome(CLINIC, done)
        assert "can't be de-identified" in analysis.provenance["tier_reason"]
        assert "second_opinion" not in analysis.provenance
        assert not parts.for_cloud()

    run(test, tmp_path, replace(ALWAYS, audit_share=1.0))


def test_the_second_opinion_goes_to_the_same_webhook(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        job = await parts.handed_in(callback="http://127.0.0.1:9/done")
        await parts.jobs.wait(CLINIC, job.id, 10)
        (opinion,) = parts.for_cloud()
        assert (opinion.opinion_on, opinion.callback) == (job.id, {"url": "http://127.0.0.1:9/done"})

    run(test, tmp_path, CHECKED)


def test_where_the_disk_has_no_room_for_an_opinion_the_edges_answer_stands_and_says_so(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        parts.payloads.put(new_id(), bytes(4000))
        analysis = await parts.analyse(bytes(90))
        assert opinion_of(analysis)["job"] is None
        assert "takes all of the 4000 bytes" in opinion_of(analysis)["note"]
        assert "provisional" not in analysis.provenance

    run(test, tmp_path, CHECKED)


def test_with_an_answer_the_picture_goes_that_waits_for_an_opinion_on_it(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        analysis = await parts.analyse()
        waits = opinion_of(analysis)["job"]
        await parts.analyses.delete(CLINIC, analysis.id)
        assert (await parts.job(waits)).state is JobState.CANCELLED
        assert parts.payloads.get(waits) is None

    run(test, tmp_path, CHECKED)


def test_a_video_is_never_meant_for_the_cloud(tmp_path: Path) -> None:
    async def test(parts: Parts) -> None:
        choice = await parts.tiers.first(Asked("clinic", "pathology", b"GIF89a" + bytes(40), {}, "r", YES))
        assert (choice.tier, choice.why) == ("edge", "always_cloud")
        assert "video" in choice.note

    run(test, tmp_path, ALWAYS)
