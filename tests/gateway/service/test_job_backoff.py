"""When a job is tried again."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.service.jobs.backoff import Backoff
from gateway.service.jobs.records import fingerprint
from tests.gateway.store.job_samples import new_job
from tests.gateway.store.samples import NOON

RULE = Backoff(first_s=2, longest_s=60, most_attempts=5, chance=0.5)
LUCK = st.floats(0, 1)


def test_pauses_double_up_to_the_longest() -> None:
    assert [RULE.pause_s(attempts, luck=1) for attempts in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]


@given(st.integers(-5, 10**9), LUCK)
def test_chance_takes_at_most_its_part_of_a_pause(attempts: int, luck: float) -> None:
    longest = RULE.pause_s(attempts, luck=1)
    assert longest / 2 <= RULE.pause_s(attempts, luck=luck) <= longest <= 60


@given(st.integers(1, 4), LUCK)
def test_a_pause_that_a_server_asks_for_is_kept(attempts: int, luck: float) -> None:
    assert RULE.pause_s(attempts, luck=luck, retry_after_s=500) == 500
    assert RULE.pause_s(attempts, luck=luck, retry_after_s=0.5) == RULE.pause_s(attempts, luck=luck)


def test_a_job_is_tried_again_until_its_attempts_are_used_up() -> None:
    assert RULE.next_try(replace(new_job(), attempts=4), NOON, luck=1) == NOON + timedelta(seconds=16)
    assert RULE.next_try(replace(new_job(), attempts=5), NOON, luck=1) is None


def test_a_job_is_not_tried_again_when_nobody_will_want_it() -> None:
    job = replace(new_job(expires_at=NOON + timedelta(seconds=4)), attempts=2)
    assert RULE.next_try(job, NOON, luck=0) == NOON + timedelta(seconds=2)
    assert RULE.next_try(job, NOON, luck=1) is None


def test_a_request_is_recognised_whatever_the_order_of_its_parameters() -> None:
    known = fingerprint("pathology", {"exam": "lung", "limit": 1}, "0a")
    assert known == fingerprint("pathology", {"limit": 1, "exam": "lung"}, "0a")
    others = [
        fingerprint("crop_weed", {"exam": "lung", "limit": 1}, "0a"),
        fingerprint("pathology", {"exam": "lung", "limit": 1.5}, "0a"),
        fingerprint("pathology", {"exam": "lung", "limit": 1}, "0b"),
        fingerprint("pathology", {"exam": "lung", "odd": "\ud800"}, "0a"),
    ]
    assert len({known, *others}) == 5
