"""Which model a request needs and which node is expected to answer first: decisions on made-up figures, no clock."""

import pytest

from edge_runtime.routing import HALF_LIFE_S, OUTLIER, UNKNOWN_S, NodeRecord, model_hint, serves, typical_s
from edge_runtime.wire import DeviceState, ModelInfo, NodeState

LUNG = ModelInfo("lung_ultrasound", "ready", domain="pathology", selector={"exam": "lung_ultrasound"})
BREAST = ModelInfo("breast_ultrasound", "ready", domain="pathology", selector={"exam": "breast_ultrasound"})
PEANUT = ModelInfo("peanut", "ready", domain="crop_weed", selector={"crop": "peanut"})
MODELS = (LUNG, BREAST, PEANUT)


def idle(slots: int = 2, wait_s: float = 0.0, models: tuple[str, ...] = ("lung_ultrasound",)) -> NodeState:
    device = DeviceState("cpu", "litert", "serving", slots=slots, models=list(models))
    return NodeState("a", ready=True, expected_wait_s=wait_s, devices=[device])


def learned(*seconds: float, model: str = "m", now: float = 0.0) -> NodeRecord:
    record = NodeRecord()
    for one in seconds:
        record.answered(model, one, now)
    return record


@pytest.mark.parametrize(("domain", "parameters", "expected"), [
    ("pathology", {"exam": "lung_ultrasound"}, "lung_ultrasound"),
    ("pathology", {}, ""),
    ("pathology", {"exam": "unheard_of"}, ""),
    ("crop_weed", {}, "peanut"),
    ("crop_weed", {"crop": "peanut", "ground_resolution_mm": 2}, "peanut"),
    ("unheard_of", {}, ""),
])
def test_the_model_is_told_from_the_parameters_where_they_leave_one(
    domain: str, parameters: dict[str, object], expected: str
) -> None:
    assert model_hint(domain, parameters, MODELS) == expected


def test_a_node_serves_what_a_device_in_service_has() -> None:
    assert serves(idle(), "lung_ultrasound")
    assert serves(idle(), "")
    assert not serves(idle(), "peanut")
    faulty = DeviceState("edgetpu", "edgetpu", "faulty", models=["peanut"])
    assert not serves(NodeState("a", ready=True, devices=[faulty, *idle().devices]), "peanut")
    assert not serves(NodeState("a", ready=False, devices=idle().devices), "lung_ultrasound")


def test_a_node_of_which_nothing_is_known_is_taken_for_as_fast_as_the_others() -> None:
    fast = learned(0.02)
    assert typical_s([fast, NodeRecord()], "m") == pytest.approx(0.02)
    assert typical_s([NodeRecord()], "m") == UNKNOWN_S
    assert NodeRecord().expected_s("m", idle(), 0.02, 0.0) == pytest.approx(0.02)


def test_a_task_that_finds_a_free_slot_waits_for_nothing_and_one_that_does_not_waits_its_turn() -> None:
    record = learned(0.1)
    assert record.expected_s("m", idle(), UNKNOWN_S, 0.0) == pytest.approx(0.1)
    for task in range(4):
        record.begin(task, 0.1, 0.0)
    assert record.expected_s("m", idle(), UNKNOWN_S, 0.0) == pytest.approx(0.1 + 0.1 * 3 / 2)


def test_what_the_node_tells_of_its_queue_counts_where_it_is_more_than_was_sent_from_here() -> None:
    assert learned(0.1).expected_s("m", idle(wait_s=2.0), UNKNOWN_S, 0.0) == pytest.approx(2.1)


def test_one_stall_says_little_and_going_on_so_says_all() -> None:
    stalled = learned(0.02, 5.0)
    assert (stalled.mean_s("m") or 0) < 0.02 * (1 + OUTLIER * 0.2)
    assert learned(0.02, *[0.2] * 12).mean_s("m") == pytest.approx(0.2, rel=0.1)


def test_a_node_that_was_slow_is_tried_again_after_a_while_and_believed_when_it_is_well() -> None:
    record = learned(*[0.2] * 5)
    assert record.expected_s("m", idle(), UNKNOWN_S, HALF_LIFE_S) == pytest.approx(0.1)
    tried_at = 4 * HALF_LIFE_S
    assert record.expected_s("m", idle(), UNKNOWN_S, tried_at) < 0.02
    record.answered("m", 0.02, tried_at)
    assert (record.mean_s("m") or 0) < 0.021
    slow_still = learned(*[0.2] * 5)
    slow_still.answered("m", 0.2, tried_at)
    assert slow_still.expected_s("m", idle(), UNKNOWN_S, tried_at) == pytest.approx(0.2)


def test_a_node_that_answers_nothing_though_it_should_is_expected_to_go_on_so() -> None:
    record = learned(0.02, now=1.0)
    record.begin(1, 0.02, 1.0)
    assert record.overdue_s(1.01) == 0.0
    assert record.overdue_s(2.0) == pytest.approx(1.0 - UNKNOWN_S)
    assert record.expected_s("m", idle(), UNKNOWN_S, 2.0) > 0.9
    record.answered("m", 0.02, 2.0)  # another of its tasks
    assert record.overdue_s(2.0) == 0.0
    record.end(1)
    assert record.overdue_s(9.0) == 0.0


def test_a_node_that_was_beaten_is_known_to_take_as_long_as_it_had() -> None:
    record = learned(0.02)
    record.given_up("m", 1.2, 0.0)
    assert record.mean_s("m") == pytest.approx(1.2)
    record.given_up("m", 0.5, 0.0)
    assert record.mean_s("m") == pytest.approx(1.2)
