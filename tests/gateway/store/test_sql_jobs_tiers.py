"""Jobs of two tiers in one store, over each database: who is given which, what goes over, what the cloud's come to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.service.jobs.records import Delivery, Job, JobState
from gateway.service.records import new_id
from gateway.service.routing.rules import Usage
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import LEASE_S, Clock, claim_one, ids, new_delivery, new_job
from tests.gateway.store.samples import NOON

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    """Noon, until a test moves it."""
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SqlJobStore:
    """An empty store."""
    return SqlJobStore(database, clock=clock)


def for_cloud(tenant: str = "clinic", *, number: int | None = None, **fields: object) -> Job:
    return replace(new_job(tenant, number=number), tier="cloud", why="unsure", **fields)  # type: ignore[arg-type] # keywords


def claimed(store: SqlJobStore, tier: str) -> list[str]:
    return ids(store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=9, tier=tier))  # type: ignore[arg-type] # both are tried


def test_a_job_for_the_cloud_comes_back_as_it_went_in(store: SqlJobStore) -> None:
    job = for_cloud(opinion_on=new_id(), consents=("cloud", "learning"))
    store.submit(job)
    assert store.get("clinic", job.id) == job


def test_each_tier_is_given_its_own_jobs(store: SqlJobStore) -> None:
    here, there = new_job(), for_cloud()
    for job in (here, there):
        store.submit(job)
    assert claimed(store, "cloud") == [there.id]
    assert claimed(store, "edge") == [here.id]
    assert claimed(store, "edge") == claimed(store, "cloud") == []


def test_many_jobs_of_one_tier_cost_a_tenant_nothing_in_the_other(store: SqlJobStore) -> None:
    busy = [new_job("busy") for _ in range(4)]
    for job in (*busy, for_cloud("busy", number=1), for_cloud("quiet", number=2)):
        store.submit(job)
    assert len(claimed(store, "edge")) == 4
    first = store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=1, tier="cloud")
    assert first[0].tenant == "busy", "neither was served by the cloud, and busy waits longer"


def test_a_job_that_goes_over_starts_anew_at_the_other_tier(store: SqlJobStore, clock: Clock) -> None:
    store.submit(new_job())
    held = claim_one(store)
    store.release(held, NOON, "UNAVAILABLE", "no device")
    held = claim_one(store)
    now = clock.move(5)
    assert store.hand_over(held, "cloud", "edge_down", now + DAY) is True
    over = store.get("clinic", held.id)
    assert over is not None
    assert (over.tier, over.why, over.state, over.attempts) == ("cloud", "edge_down", JobState.QUEUED, 0)
    assert (over.expires_at, over.error_code, over.not_before) == (now + DAY, "", now)
    assert claimed(store, "edge") == []
    assert ids(store.claim("gateway-1", now, lease_s=LEASE_S, limit=9, tier="cloud")) == [held.id]


def test_who_lost_the_job_hands_nothing_over(store: SqlJobStore) -> None:
    job = new_job()
    store.submit(job)
    held = claim_one(store)
    store.cancel("clinic", job.id)
    assert store.hand_over(held, "cloud", "edge_down", None) is False
    kept = store.get("clinic", job.id)
    assert kept is not None
    assert (kept.tier, kept.state) == ("edge", JobState.CANCELLED)


def test_the_budget_counts_a_tenants_own_jobs_for_the_cloud_of_the_time(store: SqlJobStore) -> None:
    cancelled = for_cloud()
    counted = [for_cloud(size_bytes=2**40), for_cloud(domain="crop_weed", size_bytes=7)]
    early = for_cloud(created_at=NOON - DAY - timedelta(seconds=1))
    for job in (*counted, cancelled, early, new_job(), for_cloud("other")):
        store.submit(job)
    store.cancel("clinic", cancelled.id)
    assert store.used("clinic", "", NOON - DAY) == Usage(2, 2**40 + 7)
    assert store.used("clinic", "crop_weed", NOON - DAY) == Usage(1, 7)
    assert store.used("nobody", "", NOON - DAY) == Usage(0, 0)


def test_whoever_waits_at_a_webhook_is_told_that_the_time_is_over(store: SqlJobStore, database: Database) -> None:
    job = new_job(expires_at=NOON)
    store.submit(job)
    made: list[Delivery] = []

    def deliveries(expired: Job) -> list[Delivery]:
        made.append(new_delivery(expired))
        return made[-1:]

    assert ids(store.expire(NOON, limit=9, deliveries=deliveries)) == [job.id]
    assert list(SqlDeliveryStore(database).of_job("clinic", job.id)) == made
