"""How long a device that fails stays out of service."""

import pytest

from edge_runtime.errors import FaultKind
from edge_runtime.health import BackOff, Health

PAUSES = BackOff(first_s=0.5, longest_s=8.0, steady_s=30.0)


def failures(health: Health, *, at: float, served_s: float, count: int) -> list[float]:
    """Pauses of `count` faults of a device that comes back after each pause and then serves for `served_s`."""
    pauses = []
    for _ in range(count):
        health.starting()
        health.ready(at)
        at += served_s
        pauses.append(health.failed(at, FaultKind.LOST, "unplugged"))
        at += pauses[-1]
    return pauses


def test_a_device_that_comes_and_goes_is_left_alone_for_longer_and_longer() -> None:
    assert failures(Health(accelerator=True, back_off=PAUSES), at=0.0, served_s=5.0, count=7) == [0.5, 1, 2, 4, 8, 8, 8]


def test_one_that_never_comes_back_is_tried_at_the_longest_pause_for_ever() -> None:
    health = Health(accelerator=True, back_off=PAUSES)
    assert [health.failed(float(n), FaultKind.ABSENT, "absent") for n in range(6)] == [0.5, 1, 2, 4, 8, 8]


def test_after_a_steady_time_its_past_is_forgotten() -> None:
    health = Health(accelerator=True, back_off=PAUSES)
    assert failures(health, at=0.0, served_s=1.0, count=4)[-1] == 4
    assert failures(health, at=100.0, served_s=34.5, count=1) == [0.5], "served for its last pause of 4 s and 30 s more"
    assert failures(health, at=200.0, served_s=30.2, count=1) == [1.0], "not quite as long"


def test_a_cpu_whose_process_dies_is_started_again_at_once_unless_it_can_not_start() -> None:
    health = Health(accelerator=False, back_off=PAUSES)
    assert failures(health, at=0.0, served_s=0.1, count=3) == [0.0, 0.0, 0.0]
    assert [health.failed(10.0, FaultKind.CRASHED, "ended") for _ in range(3)] == [0.5, 1.0, 2.0]


def test_faults_are_counted_by_kind_and_the_last_cause_stays_after_it_is_back() -> None:
    health = Health(accelerator=True)
    health.ready(0.0)
    health.failed(5.0, FaultKind.HUNG, "an invocation did not come back")
    health.starting()
    health.failed(7.0, FaultKind.ABSENT, "no device")
    assert (health.state, health.fault, health.out_since) == ("faulty", FaultKind.ABSENT, 5.0)
    health.starting()
    health.ready(9.0)
    assert (health.state, health.fault, health.out_since) == ("serving", None, None)
    assert health.faults == {FaultKind.HUNG: 1, FaultKind.ABSENT: 1}
    assert health.last_cause == "no device"


@pytest.mark.parametrize("accelerator", [True, False])
def test_the_next_try_is_told(accelerator: bool) -> None:
    health = Health(accelerator)
    pause_s = health.failed(100.0, FaultKind.LOST, "gone")
    assert health.retry_at == 100.0 + pause_s
