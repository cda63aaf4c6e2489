"""Jobs for the cloud: what leaves, what comes back, what is kept, and what becomes of those that must not leave."""

import asyncio
import hashlib
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domains.errors import InvalidParameter
from gateway.service.cloud.breaker import BreakerState
from gateway.service.cloud.ports import Cleaned, CloudAnswer, CloudError, CloudTask, Held
from gateway.service.jobs.records import Job, JobState
from gateway.service.leaving.audit import verify
from gateway.service.records import Analysis, new_id
from gateway.service.routing.rules import Rule, Why, sentence
from tests.gateway.service.cloud.cloud_setting import Setting, answer_to, run


def test_a_job_becomes_an_analysis_that_says_who_made_it_and_why_and_shows_the_callers_own_file(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.start()
        job = setting.submit(b"scan", callback={"url": "https://clinic.example/done"})
        analysis = await setting.done(job)
        assert (analysis.label, analysis.model, analysis.images) == ("abnormal", "lung_ultrasound", ("heatmap.png",))
        assert analysis.provenance["tier"] == "cloud"
        assert analysis.provenance["tier_reason"] == sentence(Why.EDGE_DOWN)
        assert "opinion_on" not in analysis.provenance
        assert "of_a_later_version" not in analysis.provenance, "what isn't known here can't be shown"
        assert (analysis.media["sha256"], analysis.media["size_bytes"]) == (hashlib.sha256(b"scan").hexdigest(), 4)
        assert setting.images.get(job.id, "input") == b"scan"
        assert setting.images.get(job.id, "heatmap.png") == b"heat"
        assert [delivery.url for delivery in setting.deliveries.of_job("clinic", job.id)] == ["https://clinic.example/done"]
        await setting.until(lambda: setting.payloads.get(job.id) is None)
        assert (setting.cloud.tasks, setting.cloud.answers, setting.ended) == ({}, {}, 1)

    run(test, tmp_path)


def test_the_log_names_exactly_the_bytes_that_left_before_they_do(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.start()
        await setting.done(job := setting.submit(b"scan"))
        (entry,) = setting.audit.entries()
        assert (entry.tenant, entry.analysis_id, entry.why) == ("clinic", job.id, "edge_down")
        assert (entry.size_bytes, entry.format, entry.where_to) == (10, "png", "s3://bucket/pictures")
        assert entry.form == "metadata-stripped no-text-found"
        assert entry.sha256 == setting.cloud.digests[job.id] == hashlib.sha256(b"clean scan").hexdigest()
        assert verify(setting.audit.entries()).is_whole

    run(test, tmp_path)


def test_the_cloud_is_told_nothing_of_tenant_and_request(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start()
        job = setting.submit(tenant="St. Rosa")
        await setting.until(lambda: setting.cloud.tasks)
        told = repr(setting.cloud.tasks[job.id])
        assert "Rosa" not in told
        assert "request-1" not in told
        assert setting.cloud.tasks[job.id].parameters == {"exam": "lung_ultrasound"}

    run(test, tmp_path)


def test_a_picture_that_can_not_be_cleaned_stays_and_says_why(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cleaner.says = lambda _: Held("text was found and no region")
        setting.start()
        held = await setting.final(setting.submit(opinion_on=new_id()))
        assert (held.state, held.error_code, held.error_message) == (JobState.FAILED, "HELD_BACK", "text was found and no region")
        assert (setting.cloud.sent, setting.left()) == ([], [])
        assert setting.payloads.get(held.id) == b"scan", "an operator may take the job back"

    run(test, tmp_path)


@pytest.mark.parametrize(("rule", "consents", "words"), [
    (Rule(), ("cloud",), "the tenant doesn't let"),
    (Rule(to_cloud=True), (), "the request doesn't consent"),
    (Rule(to_cloud=True), ("learning",), "the request doesn't consent"),
])
def test_leave_that_is_no_longer_given_keeps_a_picture_here(tmp_path: Path, rule: Rule, consents: tuple[str, ...], words: str) -> None:
    async def test(setting: Setting) -> None:
        setting.rules = [rule]
        setting.start()
        denied = await setting.final(setting.submit(consents=consents, opinion_on=new_id()))
        assert (denied.error_code, denied.attempts) == ("PERMISSION_DENIED", 1)
        assert words in denied.error_message
        assert (setting.cleaner.cleaned, setting.cloud.sent, setting.left()) == ([], [], [])

    run(test, tmp_path)


def test_what_the_cloud_was_to_answer_and_may_not_leave_goes_back_to_the_edge(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cleaner.says = lambda _: Held("text was found and no region")
        setting.start()
        job = setting.submit()
        await setting.until(lambda: setting.now(job).tier == "edge")
        back = setting.now(job)
        assert (back.state, back.why, back.attempts) == (JobState.QUEUED, "held_back", 0)
        assert setting.payloads.get(job.id) == b"scan"
        assert (setting.cloud.sent, setting.left()) == ([], [])

    run(test, tmp_path)


def test_place_is_kept_where_the_rule_of_the_tenant_says_so(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.rules = [Rule(to_cloud=True), Rule(tenant="farm", to_cloud=True, keep_gps=True)]
        setting.start()
        await setting.done(setting.submit(tenant="farm"))
        await setting.done(setting.submit())
        assert setting.cleaner.cleaned == [("farm", True), ("clinic", False)]

    run(test, tmp_path)


def test_a_parameter_that_the_domain_does_not_know_fails_the_job_by_name(tmp_path: Path) -> None:
    def refuse(_: bytes) -> Cleaned:
        raise InvalidParameter("unknown parameter", parameter="zoom")

    async def test(setting: Setting) -> None:
        setting.cleaner.says = refuse
        setting.start()
        failed = await setting.final(setting.submit())
        assert (failed.error_code, failed.error_parameter) == ("INVALID_ARGUMENT", "zoom")

    run(test, tmp_path)


def test_bytes_that_are_gone_fail_the_job(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        job = setting.submit()
        setting.payloads.delete([job.id])
        setting.start()
        assert (await setting.final(job)).error_code == "GONE"

    run(test, tmp_path)


def test_a_second_opinion_names_the_first_and_whoever_learns_of_it_gets_both_and_the_upload(tmp_path: Path) -> None:
    heard: list[tuple[str, str, bytes]] = []

    async def hear(job: Job, second: Analysis, upload: bytes) -> None:
        heard.append((job.opinion_on, second.id, upload))
        raise RuntimeError("what learns must not matter to who waits")

    async def test(setting: Setting) -> None:
        setting.on_opinion = hear
        setting.start(keep_images=False)
        job = setting.submit(b"scan", why="unsure", opinion_on="first")
        analysis = await setting.done(job)
        assert (analysis.provenance["opinion_on"], analysis.images) == ("first", ())
        await setting.done(setting.submit(b"other"))
        assert heard == [("first", job.id, b"scan")]
        await setting.until(lambda: setting.payloads.get(job.id) is None)
        assert setting.left()[0] == "first", "the log speaks of the analysis that callers know"
        assert setting.images.get(job.id, "input") is None

    run(test, tmp_path)


def test_what_the_cloud_says_is_final_fails_at_once_and_anything_else_is_tried_again(tmp_path: Path) -> None:
    errors = [CloudError("OVERLOADED", "too much"), CloudError("INPUT_BREAKS_WORKER", "it breaks", final=True)]

    async def test(setting: Setting) -> None:
        setting.cloud.make = lambda task: answer_to(task, error=errors.pop(0))
        setting.start()
        failed = await setting.final(setting.submit())
        assert (failed.error_code, failed.error_message, failed.attempts) == ("INPUT_BREAKS_WORKER", "it breaks", 2)
        assert len(setting.cloud.worked) == 2

    run(test, tmp_path)


def test_a_cloud_that_only_fails_is_given_up(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.make = lambda task: answer_to(task, error=CloudError("SOMETHING_NEW", "it went wrong"))
        setting.start()
        failed = await setting.final(setting.submit())
        assert (failed.error_code, failed.attempts) == ("INTERNAL", 3)

    run(test, tmp_path)


@pytest.mark.parametrize("fields", [{"result": {}}, {"provenance": {}}, {"id": "another"}])
def test_an_answer_that_can_not_be_understood_is_asked_for_again(tmp_path: Path, fields: dict[str, object]) -> None:
    made = 0

    def make(task: CloudTask) -> CloudAnswer:
        nonlocal made
        made += 1
        given = {"task": task, **(fields if made == 1 else {})}
        return CloudAnswer(str(given.pop("id"))) if "id" in given else answer_to(**given)  # type: ignore[arg-type] # keywords

    async def test(setting: Setting) -> None:
        setting.cloud.make = make
        setting.start()
        await setting.done(setting.submit())
        assert made == 2

    run(test, tmp_path)


def test_a_cancelled_job_gives_no_answer_however_late_one_comes_and_nothing_stays_in_the_cloud(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start(lease_s=0.3)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        cancelled = setting.store.cancel("clinic", job.id)
        assert cancelled is not None
        assert cancelled.state is JobState.CANCELLED
        await setting.until(lambda: job.id in setting.cloud.forgotten)
        setting.cloud.begin_to_work()
        await asyncio.sleep(0.2)
        assert setting.all_analyses() == []
        assert (setting.now(job).state, setting.ended) == (JobState.CANCELLED, 0)

    run(test, tmp_path)


def test_an_answer_that_comes_between_cancelling_and_noticing_is_thrown_away_with_its_pictures(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start()
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        setting.store.cancel("clinic", job.id)
        setting.cloud.begin_to_work()
        await setting.until(lambda: job.id in setting.cloud.forgotten)
        assert setting.all_analyses() == []
        assert setting.images.get(job.id, "input") is None

    run(test, tmp_path)


def test_a_job_that_expires_while_the_cloud_has_it_says_so(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start()
        job = setting.submit(expires_at=datetime.now(UTC) + timedelta(seconds=0.4))
        expired = await setting.final(job)
        assert (expired.state, expired.error_code) == (JobState.FAILED, "EXPIRED")
        await setting.until(lambda: setting.cloud.forgotten == [job.id])

    run(test, tmp_path)


def test_what_runs_is_told_for_the_status_page(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        gateway = setting.start(in_flight=3)
        jobs = [setting.submit() for _ in range(5)]
        await setting.until(lambda: gateway.runner.state.in_flight == 3)
        await asyncio.sleep(0.1)
        state = gateway.runner.state
        assert (state.breaker, state.in_flight, state.oldest, state.trouble) == (BreakerState.CLOSED, 3, jobs[0].created_at, "")
        assert sorted(setting.cloud.sent) == sorted(job.id for job in jobs[:3]), "no more are in flight than may be"
        setting.cloud.begin_to_work()
        for job in jobs:
            await setting.done(job)
        await setting.until(lambda: gateway.runner.state.in_flight == 0)
        assert gateway.runner.state.oldest is None

    run(test, tmp_path)


def test_while_answers_are_waited_for_no_pictures_are_held_in_memory(tmp_path: Path) -> None:
    megabyte = 2**20

    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        for number in range(30):
            setting.submit(bytes([number]) * megabyte)
        tracemalloc.start()
        setting.start()
        await setting.until(lambda: len(setting.cloud.sent) == 30)
        await asyncio.sleep(0.05)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 5 * megabyte

    run(test, tmp_path)
