"""What can't be reached is left alone for longer and longer, and never for good."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.service.cloud.breaker import Breaker, BreakerRule, BreakerState

RULE = BreakerRule(failures=3, first_s=1.0, longest_s=60.0, probe_s=20.0)
LATER = 1e-6
"""Seconds by which a pause is surely over, whatever the rounding."""


def opened(now: float = 0.0) -> Breaker:
    """A breaker that was just opened."""
    breaker = Breaker(RULE)
    for _ in range(RULE.failures):
        assert breaker.permits(now)
        breaker.failed(now)
    return breaker


def test_a_single_failure_keeps_nobody_from_trying() -> None:
    breaker = Breaker(RULE)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert (breaker.permits(0.0), breaker.state(0.0)) == (True, BreakerState.CLOSED)
        breaker.succeeded()


def test_failures_in_a_row_keep_everybody_from_trying_until_the_pause_is_over() -> None:
    breaker = opened()
    assert (breaker.permits(0.5), breaker.state(0.5), breaker.pause_s(0.5)) == (False, BreakerState.OPEN, 0.5)
    assert breaker.state(1.0) is BreakerState.HALF_OPEN


def test_after_a_pause_one_call_is_the_probe_and_all_others_wait_for_its_outcome() -> None:
    breaker = opened()
    assert breaker.permits(1.0)
    assert not breaker.permits(1.0)
    assert not breaker.would_permit(10.0)
    breaker.succeeded()
    assert breaker.permits(10.0)
    assert breaker.permits(10.0)


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(9):
        pauses.append(breaker.pause_s(now))
        now += pauses[-1] + LATER
        assert breaker.permits(now)
        breaker.failed(now)
    assert [round(pause, 3) for pause in pauses] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    breaker.succeeded()
    for _ in range(RULE.failures):
        breaker.failed(now)
    assert breaker.pause_s(now) == RULE.first_s


def test_calls_that_began_before_it_opened_make_no_pause_longer() -> None:
    breaker = opened()
    for _ in range(60):
        breaker.failed(0.2)
    assert breaker.pause_s(0.2) == 0.8
    assert breaker.permits(1.0)


def test_a_probe_that_was_given_up_keeps_nobody_from_trying_for_ever() -> None:
    breaker = opened()
    assert breaker.permits(1.0)
    assert not breaker.permits(20.9)
    assert breaker.permits(21.0)


STEPS = st.lists(
    st.tuples(st.floats(0, 100), st.sampled_from(["call and fail", "call and succeed", "call and vanish", "late failure", "late success"])),
    max_size=60,
)


@dataclass
class Watched:
    """A breaker in the hands of callers, with all that was permitted."""

    breaker: Breaker = field(default_factory=lambda: Breaker(RULE))
    now: float = 0.0
    permitted: int = 0

    def do(self, step: str) -> None:
        """What a caller does."""
        if step == "late success":
            self.breaker.succeeded()
        elif step == "late failure":
            self.breaker.failed(self.now)
        elif self.breaker.permits(self.now):
            self.permitted += 1
            if step == "call and fail":
                self.breaker.failed(self.now)
            elif step == "call and succeed":
                self.breaker.succeeded()


@given(STEPS)
def test_whatever_happened_it_can_be_tried_again_within_the_longest_pause(steps: list[tuple[float, str]]) -> None:
    watched = Watched()
    for seconds, step in steps:
        watched.now += seconds
        watched.do(step)
    assert watched.breaker.permits(watched.now + RULE.longest_s + RULE.probe_s)


@given(STEPS)
def test_while_it_is_open_nobody_is_let_through_and_pauses_stay_within_their_bounds(steps: list[tuple[float, str]]) -> None:
    watched = Watched()
    for seconds, step in steps:
        watched.now += seconds
        before, permitted = watched.breaker.state(watched.now), watched.permitted
        watched.do(step)
        if before is BreakerState.OPEN:
            assert watched.permitted == permitted
        assert 0 <= watched.breaker.pause_s(watched.now) <= RULE.longest_s
        if step.endswith("success") or (step.endswith("succeed") and watched.permitted > permitted):
            assert watched.breaker.state(watched.now) is BreakerState.CLOSED


@given(STEPS, st.floats(0, RULE.probe_s - 0.01), st.integers(1, 20))
def test_of_many_who_come_while_a_probe_is_out_none_goes(steps: list[tuple[float, str]], wait_s: float, count: int) -> None:
    watched = Watched()
    for seconds, step in steps:
        watched.now += seconds
        watched.do(step)
    if watched.breaker.state(watched.now) is BreakerState.CLOSED:
        return
    watched.now += RULE.longest_s + RULE.probe_s
    assert watched.breaker.permits(watched.now)
    assert not any(watched.breaker.permits(watched.now + wait_s) for _ in range(count))
