"""The contract of DeliveryStore, over each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.service.jobs.records import Delivery, DeliveryState, Job
from gateway.store.database import Database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import Clock, new_delivery, new_job
from tests.gateway.store.samples import NOON

SECOND = timedelta(seconds=1)
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def job(database: Database) -> Job:
    """The job whose result is delivered."""
    return SqlJobStore(database).submit(new_job()).job


@pytest.fixture
def store(database: Database) -> SqlDeliveryStore:
    """An empty store."""
    return SqlDeliveryStore(database, clock=Clock())


def claim_one(store: SqlDeliveryStore) -> Delivery:
    """The one that is due at noon."""
    (claimed,) = store.claim(NOON, lease_s=60, limit=1)
    return claimed


def test_a_delivery_is_kept_once_and_listed_with_its_job(store: SqlDeliveryStore, job: Job) -> None:
    first, second = new_delivery(job, number=1), new_delivery(job, number=2)
    assert store.add(second) is True
    assert store.add(first) is True
    assert store.add(replace(first, url="https://elsewhere.example")) is False
    assert list(store.of_job("clinic", job.id)) == [first, second]
    assert list(store.of_job("farm", job.id)) == []
    assert list(store.of_job("clinic", "1")) == []
    assert store.add(new_delivery(new_job(), number=3)) is False, "its job isn't there"
    with pytest.raises(ValueError, match="UUIDv7"):
        store.add(replace(first, id="1"))


def test_a_claimed_delivery_is_nobody_elses_until_its_lease_is_over(store: SqlDeliveryStore, job: Job) -> None:
    late, soon = new_delivery(job, number=1, at=NOON), replace(new_delivery(job, number=2), not_before=NOON - SECOND)
    for delivery in (late, soon):
        store.add(delivery)
    assert list(store.claim(NOON - 2 * SECOND, lease_s=60, limit=9)) == []
    assert claim_one(store) == replace(soon, attempts=1, not_before=LATER, updated_at=NOON)
    assert claim_one(store).id == late.id
    assert list(store.claim(LATER - SECOND, lease_s=60, limit=9)) == []
    assert {delivery.attempts for delivery in store.claim(LATER, lease_s=60, limit=9)} == {2}


def test_a_result_that_arrived_is_not_sent_again(store: SqlDeliveryStore, job: Job) -> None:
    store.add(new_delivery(job))
    held = claim_one(store)
    assert store.delivered(held, 204) is True
    assert list(store.of_job("clinic", job.id)) == [
        replace(held, state=DeliveryState.DELIVERED, last_status=204, updated_at=NOON)
    ]
    assert store.delivered(held, 204) is False
    assert store.fail(held, status=None, error="") is False
    assert list(store.claim(LATER, lease_s=60, limit=9)) == []


def test_one_that_failed_is_tried_again_later_until_it_is_given_up(store: SqlDeliveryStore, job: Job) -> None:
    store.add(new_delivery(job))
    held = claim_one(store)
    assert store.retry(held, LATER, status=503, error="busy \x00") is True
    assert list(store.claim(LATER - SECOND, lease_s=60, limit=9)) == []
    (again,) = store.claim(LATER, lease_s=60, limit=9)
    assert (again.attempts, again.last_status, again.last_error) == (2, 503, "busy \N{REPLACEMENT CHARACTER}")
    assert store.fail(again, status=None, error="no such host") is True
    (given_up,) = store.of_job("clinic", job.id)
    assert (given_up.state, given_up.last_status, given_up.last_error) == (DeliveryState.FAILED, None, "no such host")
    assert list(store.claim(LATER + timedelta(days=9), lease_s=60, limit=9)) == []


def test_a_sender_that_lost_its_lease_cannot_write_any_more(store: SqlDeliveryStore, job: Job) -> None:
    waiting = new_delivery(job)
    store.add(waiting)
    assert store.delivered(waiting, 200) is False, "nobody claimed it"
    stale = claim_one(store)
    (held,) = store.claim(LATER, lease_s=60, limit=1)
    assert store.delivered(stale, 200) is False
    assert store.retry(stale, LATER, status=None, error="") is False
    assert store.fail(stale, status=None, error="") is False
    assert list(store.of_job("clinic", job.id)) == [held]


def test_what_waits_for_a_busy_receiver_is_left_and_what_waits_for_others_is_taken(store: SqlDeliveryStore, job: Job) -> None:
    urls = [
        "https://busy.example/a", "https://busy.example/b", "https://busy.example:8443/", "https://busy.example.org/", "https://b_sy.example/",
        "https://100%.example/",
    ]  # fmt: skip
    for number, url in enumerate(urls):
        store.add(replace(new_delivery(job, number=number), url=url))
    taken = store.claim(NOON, lease_s=60, limit=9, skip=["https://busy.example", "https://100%.example"])
    assert sorted(delivery.url for delivery in taken) == sorted(urls[2:5])
    left = store.claim(NOON, lease_s=60, limit=9, skip=["https://b_sy.example"])
    assert sorted(delivery.url for delivery in left) == sorted([*urls[:2], urls[5]])
