"""Agreement over many inputs: counts, intervals, and the inputs that part most."""

import numpy as np
import pytest

from edge_runtime.toolchain.parity.answers import Decided, Question
from edge_runtime.toolchain.parity.decisions import Tally, agreement
from edge_runtime.toolchain.parity.inputs import Sample
from edge_runtime.toolchain.parity.report import Answer, Apart

LABELS = ("a", "b", "c")
NOTHING = np.zeros(1)


def says(*shares: float) -> Decided:
    ordered = sorted(shares)
    label = int(np.argmax(shares))
    return Decided(Answer(LABELS[label], ordered[-1] - ordered[-2]), np.array([label]), np.array([shares], np.float32))


def tally(rows: list[tuple[Decided, Decided, int]], groups: str = "") -> Tally:
    found = Tally(Question("label", "logits", LABELS))
    for number, (a, b, truth) in enumerate(rows):
        found.add(Sample(f"input {number}", groups[number] if groups else str(number), NOTHING, truth), a, b)
    return found


def test_confusion_holds_only_labels_that_were_given() -> None:
    found = tally([(says(0.9, 0.1, 0), says(0.9, 0.1, 0), -1), (says(0.6, 0, 0.4), says(0.4, 0, 0.6), -1)]).result()
    assert found.labels == ["a", "c"]
    assert found.confusion == [[1, 1], [0, 0]]
    assert (found.differing, found.agreement.value) == (1, 0.5)


def test_inputs_that_differ_come_first_then_those_farthest_apart() -> None:
    rows = [
        (says(0.9, 0.1, 0), says(0.6, 0.4, 0), -1), (says(0.51, 0.49, 0), says(0.49, 0.51, 0), -1), (says(1, 0, 0), says(1, 0, 0), -1),
        (says(0.9, 0.1, 0), says(0.8, 0.2, 0), -1),
    ]
    found: list[Apart] = tally(rows).result().apart
    assert [row.name for row in found] == ["input 1", "input 0", "input 3"]


def test_margins_are_those_of_the_less_sure_side() -> None:
    found = tally([(says(0.9, 0.1, 0), says(0.7, 0.3, 0), -1), (says(0.6, 0.4, 0), says(0.4, 0.6, 0), -1)]).result()
    assert found.margin_where_same == pytest.approx(0.4)
    assert found.margin_where_different == pytest.approx(0.2)


def test_who_is_right_where_they_differ_is_counted() -> None:
    a, b = says(0.9, 0.1, 0), says(0.1, 0.9, 0)
    found = tally([(a, b, 0), (a, b, 0), (a, b, 1), (a, a, 0), (a, b, 2), (a, b, -1)]).result().truth
    assert found is not None
    assert (found.known, found.a_right, found.b_right, found.a_alone, found.b_alone) == (5, 3, 2, 2, 1)


def test_inputs_of_one_group_count_as_one_look() -> None:
    alone = agreement([1.0] * 20, [str(number) for number in range(20)])
    together = agreement([1.0] * 20, ["clip"] * 10 + ["other"] * 10)
    assert [alone.value, alone.low, alone.high] == pytest.approx([1, 0.8389, 1], abs=1e-4)
    assert together.low == pytest.approx(0.3424, abs=1e-4)


def test_shares_of_pixels_get_an_interval_over_pictures() -> None:
    found = agreement([0.99, 0.95, 0.97, 1.0], ["a", "b", "c", "d"])
    assert found.value == pytest.approx(0.9775)
    assert 0.95 < found.low < 0.9775 < found.high < 1
