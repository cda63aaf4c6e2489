"""The contract of JobStore, over each database."""

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.service.jobs.records import EXPIRED, Job, JobFilter, JobState
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import (
    LEASE_S,
    Clock,
    analysis_of,
    claim_one,
    claimed_by,
    ids,
    new_delivery,
    new_job,
    submit_all,
)
from tests.gateway.store.samples import NOON

SECOND = timedelta(seconds=1)
ALL = JobFilter()


@pytest.fixture
def clock() -> Clock:
    """Noon, until a test moves it."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SqlJobStore:
    """An empty store."""
    return SqlJobStore(database, clock=clock)


@pytest.fixture
def analyses(database: Database) -> SqlAnalysisStore:
    """The analyses of the same database."""
    return SqlAnalysisStore(database)


def found(store: SqlJobStore, job: Job) -> Job:
    """The job as it is now."""
    now = store.get(job.tenant, job.id)
    assert now is not None
    return now


def test_a_job_comes_back_as_it_went_in(store: SqlJobStore) -> None:
    job = new_job(key="k", mission="field-7", expires_at=NOON + SECOND)
    submission = store.submit(job)
    assert (submission.job, submission.is_new) == (job, True)
    assert found(store, job) == job
    assert found(store, job).created_at.tzinfo is UTC
    bare = replace(new_job(), callback=None)
    store.submit(bare)
    assert found(store, bare) == bare


def test_a_key_that_is_taken_gives_the_job_that_holds_it(store: SqlJobStore) -> None:
    first, again = new_job(key="photo-1"), new_job(key="photo-1", fingerprint="e" * 64)
    store.submit(first)
    submission = store.submit(again)
    assert (submission.job, submission.is_new) == (first, False)
    assert submission.job.fingerprint != again.fingerprint, "so that the caller can refuse another body"
    assert store.get("clinic", again.id) is None


def test_a_key_belongs_to_its_tenant_and_no_key_is_nobodys(store: SqlJobStore) -> None:
    mine = new_job(key="k")
    for job in (mine, new_job("farm", key="k"), new_job(), new_job()):
        assert store.submit(job).is_new
    assert store.submit(new_job(key="k")).job == mine


def test_a_key_is_kept_for_as_long_as_its_job(store: SqlJobStore, clock: Clock) -> None:
    job = new_job(key="k")
    store.submit(job)
    store.complete(claim_one(store), analysis_of(job))
    assert store.submit(new_job(key="k")).job.id == job.id
    assert store.delete_finished(clock.move(1), limit=10) == [job.id]
    assert store.submit(new_job(key="k")).is_new


def test_a_job_that_somebody_has_already_cannot_be_submitted(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    with pytest.raises(ValueError, match="queued"):
        store.submit(claim_one(store))
    with pytest.raises(IntegrityError):
        store.submit(job)
    with pytest.raises(ValueError, match="UUIDv7"):
        store.submit(replace(job, id="1"))


def test_another_tenant_sees_nothing_and_stops_nothing(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    assert store.get("farm", job.id) is None
    assert store.cancel("farm", job.id) is None
    assert store.retry("farm", job.id) is None
    assert list(store.page("farm", ALL, before_id=None, limit=9)) == []
    assert set(store.counts("farm").states.values()) == {0}
    assert found(store, job) == job


@pytest.mark.parametrize("text", ["", "x", "../../etc/passwd", "0" * 32, "%", "\x00"])
def test_a_text_that_is_no_id_is_simply_not_found(store: SqlJobStore, text: str) -> None:
    assert store.get("clinic", text) is None
    assert store.cancel("clinic", text) is None
    assert store.retry("clinic", text) is None


def test_a_claimed_job_is_nobody_elses_until_its_lease_is_over(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    held = claim_one(store, "gateway-1")
    assert held == found(store, job) == claimed_by(job, "gateway-1", NOON, turn=1)
    over = held.lease_until
    assert over == NOON + timedelta(seconds=LEASE_S)
    assert list(store.claim("gateway-2", over - SECOND, lease_s=LEASE_S, limit=9)) == []
    again = claim_one(store, "gateway-2", over)
    assert again == claimed_by(job, "gateway-2", over, turn=2, attempts=2)


def test_a_claim_needs_an_owner_and_a_limit(store: SqlJobStore) -> None:
    for owner, limit in (("", 1), ("gateway-1", 0)):
        with pytest.raises(ValueError, match="a claim needs"):
            store.claim(owner, NOON, lease_s=LEASE_S, limit=limit)


def test_who_lost_the_lease_cannot_write_any_more(store: SqlJobStore, analyses: SqlAnalysisStore) -> None:
    job = new_job()
    store.submit(job)
    stale = claim_one(store, "gateway-1")
    later = NOON + timedelta(seconds=LEASE_S)
    held = claim_one(store, "gateway-1", later)  # the same gateway after a restart
    assert store.complete(stale, analysis_of(job)) is False
    assert store.fail(stale, "INTERNAL", "late") is False
    assert store.release(stale, later, "UNAVAILABLE", "late") is False
    assert store.report(stale, {"done": 1}) is False
    assert store.renew([stale], later) == frozenset()
    assert store.complete(replace(held, owner="gateway-2"), analysis_of(job)) is False
    assert analyses.get("clinic", job.id) is None
    assert found(store, job) == held
    assert store.complete(held, analysis_of(job)) is True


def test_a_lease_from_before_an_operator_took_the_job_back_is_no_lease(store: SqlJobStore) -> None:
    """Attempts start anew then, so that they can't tell one lease from the other."""
    job = new_job()
    store.submit(job)
    stale = claim_one(store, "gateway-1")
    store.fail(stale, "INTERNAL", "broken")
    store.retry("clinic", job.id)
    held = claim_one(store, "gateway-1")
    assert (stale.owner, stale.attempts) == (held.owner, held.attempts)
    assert store.complete(stale, analysis_of(job)) is False
    assert found(store, job) == held


def test_work_that_comes_late_counts_while_nobody_else_took_it(store: SqlJobStore, clock: Clock) -> None:
    job = new_job()
    store.submit(job)
    held = claim_one(store)
    clock.move(LEASE_S * 10)
    assert store.complete(held, analysis_of(job)) is True


def test_renewing_keeps_what_is_held_and_names_it(store: SqlJobStore) -> None:
    submit_all(store._database, [new_job() for _ in range(3)])
    first, second, third = store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=3)
    store.cancel("clinic", second.id)
    until = NOON + timedelta(hours=1)
    assert store.renew([first, second, third], until) == {first.id, third.id}
    assert store.renew([], until) == frozenset()
    assert found(store, first).lease_until == until
    assert list(store.claim("gateway-2", until - SECOND, lease_s=LEASE_S, limit=9)) == []


def test_a_job_that_is_done_has_its_analysis_under_its_id(
    store: SqlJobStore, analyses: SqlAnalysisStore, clock: Clock
) -> None:
    job = new_job()
    store.submit(job)
    store.release(claim_one(store), NOON, "UNAVAILABLE", "no node")
    held = claim_one(store)
    now = clock.move(1)
    assert store.report(held, {"frames": 3}) is True
    answer = analysis_of(job)
    assert store.complete(held, answer) is True
    assert analyses.get("clinic", job.id) == answer
    assert found(store, job) == replace(held, state=JobState.DONE, owner="", updated_at=now, progress={"frames": 3},
                                        error_code="", error_message="")
    assert found(store, job).lease_until is None
    assert store.complete(held, analysis_of(job)) is False
    assert list(store.claim("gateway-2", NOON + timedelta(days=1), lease_s=LEASE_S, limit=9)) == []


def test_an_analysis_that_cannot_be_stored_leaves_the_job_running(
    store: SqlJobStore, analyses: SqlAnalysisStore
) -> None:
    job = new_job()
    store.submit(job)
    held = claim_one(store)
    with pytest.raises(ValueError, match="another job's"):
        store.complete(held, analysis_of(new_job()))
    with pytest.raises(ValueError, match="another job's"):
        store.complete(held, replace(analysis_of(job), tenant="farm"))
    analyses.add([analysis_of(job)])
    with pytest.raises(IntegrityError):
        store.complete(held, analysis_of(job))
    assert found(store, job) == held


def test_the_delivery_of_a_result_is_stored_with_it_or_not_at_all(store: SqlJobStore, database: Database) -> None:
    deliveries = SqlDeliveryStore(database)
    done, failed, lost = (new_job() for _ in range(3))
    for job in (done, failed, lost):
        store.submit(job)
    held = {job.id: job for job in store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=3)}
    sent = [new_delivery(job, number=number) for number, job in enumerate((done, failed, lost))]
    store.complete(held[done.id], analysis_of(done), deliveries=sent[:1])
    store.fail(held[failed.id], "CORRUPT_MEDIA", "cut off", deliveries=sent[1:2])
    store.cancel("clinic", lost.id)
    store.complete(held[lost.id], analysis_of(lost), deliveries=sent[2:])
    assert [list(deliveries.of_job("clinic", job.id)) for job in (done, failed, lost)] == [sent[:1], sent[1:2], []]


def test_a_job_that_is_given_back_is_tried_again_from_then_on(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    held = claim_one(store)
    then = NOON + timedelta(minutes=5)
    assert store.release(held, then, "UNAVAILABLE", "no node is there \x00 \ud800") is True
    assert found(store, job) == replace(held, state=JobState.QUEUED, owner="", not_before=then, error_code="UNAVAILABLE",
                                        error_message="no node is there \N{REPLACEMENT CHARACTER} ?")
    assert list(store.claim("gateway-1", then - SECOND, lease_s=LEASE_S, limit=9)) == []
    assert claim_one(store, "gateway-2", then).attempts == 2


def test_a_dead_letter_says_why_and_waits_for_an_operator(store: SqlJobStore, clock: Clock) -> None:
    job = new_job(expires_at=NOON + timedelta(hours=1))
    store.submit(job)
    assert store.retry("clinic", job.id) == job, "it is no dead letter"
    held = claim_one(store)
    assert store.fail(held, "CORRUPT_MEDIA", "the file is cut off") is True
    dead = found(store, job)
    assert (dead.state, dead.error_code, dead.error_message) == (JobState.FAILED, "CORRUPT_MEDIA", "the file is cut off")
    now = clock.move(86_400)
    assert list(store.claim("gateway-1", now, lease_s=LEASE_S, limit=9)) == []
    back = store.retry("clinic", job.id)
    assert back == found(store, job) == replace(job, turn=1, updated_at=now, not_before=now, expires_at=None)
    assert list(store.expire(now, limit=9)) == []
    assert claim_one(store, now=now).id == job.id


def test_a_cancelled_job_never_runs_and_one_that_runs_is_not_answered(
    store: SqlJobStore, analyses: SqlAnalysisStore, clock: Clock
) -> None:
    waiting, running = new_job(number=2), new_job(number=1)
    store.submit(waiting)
    store.submit(running)
    held = claim_one(store)
    assert held.id == running.id
    now = clock.move(1)
    assert store.cancel("clinic", waiting.id) == replace(waiting, state=JobState.CANCELLED, updated_at=now)
    cancelled = store.cancel("clinic", running.id)
    assert cancelled == replace(held, state=JobState.CANCELLED, owner="", updated_at=now)
    assert store.report(held, {}) is False
    assert store.complete(held, analysis_of(running)) is False
    assert analyses.get("clinic", running.id) is None
    assert list(store.claim("gateway-1", NOON + timedelta(days=1), lease_s=LEASE_S, limit=9)) == []
    assert store.retry("clinic", running.id) == cancelled


def test_cancelling_what_is_done_changes_nothing_and_says_so(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    store.complete(claim_one(store), analysis_of(job))
    done = found(store, job)
    assert store.cancel("clinic", job.id) == done
    assert found(store, job) == done
    assert done.state is JobState.DONE


def test_the_oldest_interactive_job_goes_first(store: SqlJobStore) -> None:
    old = new_job(number=1, priority="batch")
    made = [new_job(number=number) for number in (4, 2, 3)]
    submit_all(store._database, [*made, old])
    store.release(claim_one(store), NOON, "UNAVAILABLE", "it keeps its place")
    claimed = [claim_one(store) for _ in range(2)]
    claimed += store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=9)
    assert ids(claimed)[:2] == [made[1].id, made[2].id]
    assert set(ids(claimed)) == {*ids(made), old.id}


def test_one_tenants_flood_keeps_nobody_waiting_for_more_than_a_claim_a_tenant(store: SqlJobStore) -> None:
    submit_all(store._database, (new_job("flood", number=number) for number in range(1000)))
    for _ in range(5):
        claim_one(store)
    for late in ("clinic", "farm"):
        store.submit(new_job(late, at=NOON + SECOND))
    later = NOON + SECOND
    assert {claim_one(store, now=later).tenant for _ in range(3)} == {"flood", "clinic", "farm"}, "3 wait, limit 1: ceil(3/1)"
    store.submit(new_job("farm", at=later))
    store.submit(new_job("clinic", at=later))
    shared = [job.tenant for job in store.claim("gateway-1", later, lease_s=LEASE_S, limit=8)]
    assert {tenant: shared.count(tenant) for tenant in shared} == {"flood": 6, "clinic": 1, "farm": 1}


def test_a_claim_is_shared_evenly_and_what_one_cannot_use_goes_to_the_others(store: SqlJobStore) -> None:
    submit_all(store._database, (new_job("flood", number=number) for number in range(100)))
    submit_all(store._database, [new_job("clinic", number=200), new_job("farm", number=201)])
    first = [job.tenant for job in store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=8)]
    assert sorted(first) == ["clinic", "farm", *["flood"] * 6]
    submit_all(store._database, (new_job("clinic", number=number) for number in range(300, 400)))
    second = [job.tenant for job in store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=8)]
    assert sorted(second) == [*["clinic"] * 4, *["flood"] * 4]


def test_those_that_come_back_again_and_again_take_turns(store: SqlJobStore) -> None:
    submit_all(store._database, (new_job(tenant, number=number * 3 + place, priority="batch")
                                 for number in range(30) for place, tenant in enumerate(("a", "b", "c"))))
    order = "".join(claim_one(store).tenant for _ in range(30))
    assert order == "abc" * 10


def test_of_tenants_that_were_never_served_the_one_that_waits_longest_goes_first(store: SqlJobStore) -> None:
    made = submit_all(store._database, (new_job(tenant, number=number) for number, tenant in enumerate(("c", "a", "b"))))
    assert [claim_one(store).id for _ in range(3)] == ids(made)


def test_a_flood_of_interactive_jobs_leaves_batch_jobs_every_fourth_claim(store: SqlJobStore) -> None:
    submit_all(store._database, (new_job(number=number) for number in range(100)))
    submit_all(store._database, (new_job(number=100 + number, priority="batch") for number in range(100)))
    order = [claim_one(store).priority for _ in range(40)]
    assert order == ["interactive", "interactive", "interactive", "batch"] * 10


def test_own_interactive_jobs_do_not_cost_a_tenant_its_turn_in_the_batch(store: SqlJobStore) -> None:
    submit_all(store._database, (new_job("clinic", number=number) for number in range(100)))
    submit_all(store._database, (new_job("flood", number=100 + number, priority="batch") for number in range(100)))
    submit_all(store._database, [new_job("clinic", number=300, priority="batch")])
    taken = [claim_one(store) for _ in range(8)]
    assert "clinic" in {job.tenant for job in taken if job.priority == "batch"}


def test_jobs_that_wait_for_their_next_try_do_not_use_up_a_share(store: SqlJobStore) -> None:
    submit_all(store._database, (replace(new_job("cut-off", number=number), not_before=NOON + SECOND) for number in range(9)))
    submit_all(store._database, (new_job("clinic", number=100 + number) for number in range(9)))
    assert [job.tenant for job in store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=8)] == ["clinic"] * 8


def test_what_nobody_wants_any_more_is_not_run_and_becomes_a_dead_letter(store: SqlJobStore) -> None:
    over = NOON + SECOND
    queued, held, dropped, forever = new_job(expires_at=over), new_job(expires_at=over), new_job(expires_at=over), new_job()
    for job in (held, dropped):
        store.submit(job)
        claim_one(store)
    store.renew([found(store, held)], NOON + timedelta(days=1))
    store.renew([found(store, dropped)], over)
    store.submit(queued)
    store.submit(forever)
    assert list(store.expire(NOON, limit=9)) == []
    assert ids(store.claim("gateway-1", over, lease_s=LEASE_S, limit=9)) == [forever.id]
    assert len(store.expire(over, limit=1)) == 1
    expired = [*store.expire(over, limit=9), found(store, queued), found(store, dropped)]
    assert {(job.state, job.error_code, job.owner) for job in expired} == {(JobState.FAILED, EXPIRED, "")}
    assert {job.id for job in expired} == {queued.id, dropped.id}
    assert found(store, held).state is JobState.RUNNING, "its holder may still finish it"


def test_jobs_are_listed_newest_first_by_page_state_and_mission(store: SqlJobStore) -> None:
    made = submit_all(store._database, (
        new_job(number=number, mission="field-7" if number % 2 else "") for number in range(6)
    ))
    store.submit(new_job("farm", mission="field-7"))
    store.cancel("clinic", made[3].id)
    first = store.page("clinic", ALL, before_id=None, limit=4)
    assert ids(first) == ids(made[:1:-1])
    assert ids(store.page("clinic", ALL, before_id=first[-1].id, limit=4)) == ids(made[1::-1])
    assert ids(store.page("clinic", JobFilter(mission="field-7"), before_id=None, limit=9)) == ids(made[5::-2])
    assert ids(store.page("clinic", JobFilter(JobState.CANCELLED), before_id=None, limit=9)) == [made[3].id]
    assert ids(store.page("clinic", JobFilter(JobState.QUEUED, "field-7"), before_id=None, limit=9)) == [made[5].id, made[1].id]
    with pytest.raises(ValueError, match="UUID"):
        store.page("clinic", ALL, before_id="1", limit=4)


def test_counts_say_how_many_are_where_and_how_long_the_oldest_waits(store: SqlJobStore) -> None:
    none = store.counts(None)
    assert (set(none.states), set(none.states.values()), none.oldest_age_s(NOON)) == (set(JobState), {0}, 0.0)
    made = submit_all(store._database, (
        new_job(at=NOON + number * SECOND, mission="field-7", number=number) for number in range(4)
    ))
    submit_all(store._database, [new_job("farm", at=NOON - SECOND, mission="field-7")])
    store.cancel("clinic", made[0].id)
    counts = store.counts("clinic")
    assert (counts.states[JobState.QUEUED], counts.states[JobState.CANCELLED]) == (3, 1)
    assert counts.oldest_queued == NOON + SECOND
    assert counts.oldest_age_s(NOON + 3 * SECOND) == 2.0
    everybody = store.counts(None)
    assert (everybody.states[JobState.QUEUED], everybody.oldest_queued) == (4, NOON - SECOND)
    assert store.mission("clinic", "field-7") == counts.states
    assert set(store.mission("clinic", "none").values()) == {0}


def test_finished_jobs_go_after_their_time_and_their_analyses_stay(
    store: SqlJobStore, analyses: SqlAnalysisStore, clock: Clock, database: Database
) -> None:
    done, failed, cancelled, running, queued = made = [new_job(number=number) for number in range(5)]
    submit_all(database, made)
    store.complete(claim_one(store), analysis_of(done), deliveries=[new_delivery(done)])
    clock.move(1)
    store.fail(claim_one(store), "INTERNAL", "broken")
    clock.move(1)
    store.cancel("clinic", cancelled.id)
    assert claim_one(store).id == running.id
    before = clock.move(1)
    assert list(store.delete_finished(NOON, limit=9)) == []
    assert list(store.delete_finished(before, limit=2)) == [done.id, failed.id]
    assert list(store.delete_finished(before, limit=9)) == [cancelled.id]
    assert list(store.delete_finished(before + timedelta(days=99), limit=9)) == []
    assert ids(store.page("clinic", ALL, before_id=None, limit=9)) == [queued.id, running.id]
    assert analyses.get("clinic", done.id) is not None
    assert list(SqlDeliveryStore(database).of_job("clinic", done.id)) == []
