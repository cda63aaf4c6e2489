"""Whatever fails (the line, the broker, the worker, a gateway), no job is lost and none is answered twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.service.cloud.breaker import BreakerState
from gateway.service.jobs.records import Job, JobState
from gateway.service.routing.rules import Rule
from tests.gateway.service.cloud.cloud_setting import QUICK, Setting, run


def test_jobs_that_came_during_an_outage_are_all_answered_after_it_the_oldest_first(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.reached = False
        gateway = setting.start(preparing=1)
        jobs = [setting.submit(bytes([number])) for number in range(12)]
        await setting.until(lambda: setting.cloud.calls > 4 * QUICK.most_attempts)
        assert {setting.now(job).state for job in jobs} <= {JobState.QUEUED, JobState.RUNNING}
        assert setting.now(jobs[0]).error_code == "CLOUD_UNAVAILABLE"
        assert "no route to the object store" in setting.now(jobs[0]).error_message
        assert gateway.runner.state.trouble == "no route to the object store"
        setting.cloud.reached = True
        for job in jobs:
            await setting.done(job)
        assert setting.cloud.worked == [job.id for job in jobs]
        assert {setting.now(job).attempts for job in jobs} == {1}
        await setting.until(lambda: gateway.runner.state.breaker is BreakerState.CLOSED)
        assert gateway.runner.state.trouble == ""

    run(test, tmp_path)


def test_a_long_outage_fills_neither_the_log_nor_the_line_and_cleans_nothing_in_vain(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.reached = False
        setting.start()
        for number in range(12):
            setting.submit(bytes([number]), tenant=f"clinic {number}")
        await setting.until(lambda: setting.cloud.calls >= 2)
        began = asyncio.get_running_loop().time()
        await setting.until(lambda: setting.cloud.calls > 15)
        assert asyncio.get_running_loop().time() - began > 1.0, "pauses grow"
        assert len(setting.left()) <= 3, "those that were tried before the outage was known"
        assert len(setting.cleaner.cleaned) <= 3

    run(test, tmp_path)


def test_an_outage_of_the_broker_alone_is_waited_out_too(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.rings = False
        setting.start()
        jobs = [setting.submit(bytes([number])) for number in range(6)]
        await setting.until(lambda: len(setting.cloud.sent) > 6)
        began = len(setting.cloud.sent)
        await asyncio.sleep(0.5)
        assert len(setting.cloud.sent) - began < 10, "pauses grow though the object store can be reached"
        setting.cloud.rings = True
        for job in jobs:
            await setting.done(job)
        assert sorted(setting.cloud.worked) == sorted(job.id for job in jobs)
        assert len(setting.left()) == len(setting.cloud.sent), "an entry for each time that bytes left"

    run(test, tmp_path)


def test_answers_that_were_made_during_an_outage_are_fetched_after_it_and_nothing_is_sent_again(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = setting.cloud.tells = False
        setting.start(answer_s=0.2)
        jobs = [setting.submit(bytes([number])) for number in range(4)]
        await setting.until(lambda: len(setting.cloud.sent) == 4)
        setting.cloud.reached = False
        setting.cloud.begin_to_work()
        await asyncio.sleep(0.8)
        assert len(setting.cleaner.cleaned) == 4, "no answer is no reason to send again where none can be seen"
        setting.cloud.reached = True
        for job in jobs:
            await setting.done(job)
        assert (len(setting.cloud.sent), len(setting.cloud.worked), len(setting.left())) == (4, 4, 4)

    run(test, tmp_path)


def test_a_gateway_killed_after_sending_costs_no_second_analysis_where_the_answer_is_there(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = setting.cloud.tells = False
        first = setting.start(lease_s=0.3)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        await first.kill()
        assert setting.now(job).owner == "gateway 1", "it had no time to give anything back"
        setting.cloud.begin_to_work()
        setting.start("gateway 2")
        await setting.done(job)
        assert (setting.cloud.sent, setting.cloud.worked, setting.left()) == ([job.id], [job.id], [job.id])

    run(test, tmp_path)


def test_a_gateway_killed_after_sending_is_made_up_for_where_there_is_no_answer_yet(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        first = setting.start(lease_s=0.3)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        await first.kill()
        setting.start("gateway 2")
        await setting.until(lambda: len(setting.cloud.sent) == 2)
        setting.cloud.begin_to_work()
        await setting.done(job)
        assert (setting.cloud.worked, setting.left()) == ([job.id], [job.id, job.id])

    run(test, tmp_path)


def test_a_gateway_that_is_told_to_stop_gives_its_jobs_to_the_next_at_once_without_losing_an_attempt(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        first = setting.start()
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        await first.stop()
        assert (setting.now(job).state, setting.now(job).attempts) == (JobState.QUEUED, 0)
        assert setting.cloud.forgotten == []
        setting.cloud.begin_to_work()
        setting.start("gateway 2")
        await setting.done(job)
        assert (setting.cloud.sent, setting.cloud.worked) == ([job.id], [job.id])

    run(test, tmp_path)


def test_a_message_that_is_delivered_twice_gives_one_analysis(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start()
        setting.start("gateway 2")
        jobs = [setting.submit(bytes([number])) for number in range(10)]
        await setting.until(lambda: len(setting.cloud.messages) == 10)
        setting.cloud.messages *= 2
        setting.cloud.begin_to_work()
        for job in jobs:
            await setting.done(job)
            late = setting.cloud.make(setting.cloud.tasks[job.id]) if job.id in setting.cloud.tasks else None
            if late is not None:
                setting.cloud.answers[job.id] = late
        await asyncio.sleep(0.1)
        assert setting.all_analyses() == sorted(job.id for job in jobs)
        assert setting.ended == 10

    run(test, tmp_path)


def test_a_gateway_that_lost_its_lease_stops_and_leaves_the_objects_to_the_next(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        gateway = setting.start(lease_s=0.3)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        later = datetime.now(UTC) + timedelta(hours=1)
        (taken,) = setting.store.claim("another", later, lease_s=60, limit=1, tier="cloud")
        assert taken.id == job.id
        await setting.until(lambda: gateway.runner.state.in_flight == 0)
        setting.cloud.begin_to_work()
        await asyncio.sleep(0.2)
        assert (setting.all_analyses(), setting.cloud.forgotten) == ([], [])
        assert setting.now(job).owner == "another"

    run(test, tmp_path)


def test_a_gateway_that_claims_its_own_job_anew_since_it_could_not_renew_goes_on_as_one(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        gateway = setting.start(lease_s=0.3)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        renew, gateway.store.renew = gateway.store.renew, lambda _, __: 1 / 0  # type: ignore[method-assign,assignment,return-value] # for this gateway alone
        turn = setting.now(job).turn
        await setting.until(lambda: setting.now(job).turn > turn)
        gateway.store.renew = renew  # type: ignore[method-assign] # the same
        await setting.until(lambda: gateway.runner.state.in_flight == 1)
        setting.cloud.begin_to_work()
        await setting.done(job)
        await setting.until(lambda: gateway.runner.state.in_flight == 0)
        assert setting.cloud.worked == [job.id]
        assert setting.ended == 1

    run(test, tmp_path)


def test_a_job_that_the_cloud_lost_is_sent_again_with_an_entry_of_its_own_and_ever_more_patience(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        setting.start(answer_s=0.1)
        job = setting.submit()
        await setting.until(lambda: setting.cloud.sent)
        began = asyncio.get_running_loop().time()
        await setting.until(lambda: len(setting.cloud.sent) == 4)
        assert asyncio.get_running_loop().time() - began > 0.6, "after 0.1, 0.3 and 0.7 s"
        assert setting.left() == setting.cloud.sent
        setting.cloud.begin_to_work()
        await setting.done(job)
        assert setting.cloud.worked == [job.id]

    run(test, tmp_path)


@pytest.mark.parametrize("opinion_on", ["", "first"])
def test_leave_that_was_taken_back_meanwhile_keeps_the_bytes_from_going_once_more(tmp_path: Path, opinion_on: str) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.works = False
        first = setting.start()
        job = setting.submit(opinion_on=opinion_on)
        await setting.until(lambda: setting.cloud.sent)
        await first.stop()
        setting.rules = [Rule()]
        setting.start("gateway 2")
        await setting.until(lambda: job.id in setting.cloud.forgotten)
        assert (setting.now(job).tier, setting.now(job).error_code) == (("cloud", "PERMISSION_DENIED") if opinion_on else ("edge", ""))
        assert setting.cloud.sent == [job.id]

    run(test, tmp_path)


def test_without_news_the_object_store_is_looked_at_and_false_news_do_no_harm(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.cloud.tells = False
        setting.start()
        await setting.done(setting.submit())
        setting.cloud.lies, setting.cloud.works = True, False
        job = setting.submit()
        await setting.until(lambda: len(setting.cloud.sent) == 2)
        calls = setting.cloud.calls
        await asyncio.sleep(0.5)
        assert setting.cloud.calls - calls < 12
        setting.cloud.begin_to_work()
        await setting.done(job)

    run(test, tmp_path)


def test_news_are_quicker_than_looking(tmp_path: Path) -> None:
    async def test(setting: Setting) -> None:
        setting.start(look_s=20.0, longest_look_s=20.0)
        began = asyncio.get_running_loop().time()
        await setting.done(setting.submit())
        assert asyncio.get_running_loop().time() - began < 10

    run(test, tmp_path)


@pytest.mark.parametrize("lost_at", ["claim", "complete"])
def test_a_job_that_ends_its_gateways_again_and_again_is_given_up_unless_it_is_answered(tmp_path: Path, lost_at: str) -> None:
    async def test(setting: Setting) -> None:
        job = setting.submit()
        if lost_at == "complete":
            setting.cloud.works = False
            first = setting.start()
            await setting.until(lambda: setting.cloud.sent)
            await first.stop()
            setting.cloud.begin_to_work()
        held = [_claimed_by_the_dead(setting, number) for number in range(QUICK.most_attempts)][-1]
        assert setting.store.release(held, datetime.now(UTC), "", "")
        setting.start("careful")
        ended = await setting.final(job)
        assert ended.error_code == ("INPUT_BREAKS_WORKER" if lost_at == "claim" else "")
        assert len(setting.cloud.sent) == (0 if lost_at == "claim" else 1)

    run(test, tmp_path)


def _claimed_by_the_dead(setting: Setting, number: int) -> Job:
    now = datetime.now(UTC) + timedelta(hours=number)
    (job,) = setting.store.claim(f"dead {number}", now, lease_s=1, limit=1, tier="cloud")
    return job
