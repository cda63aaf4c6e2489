"""Which answers are worth a second opinion."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domains import usability
from domains.crop_weed.sequence import open_sequence as open_drive
from domains.pathology.sequence import open_sequence as open_scan
from domains.sequences import Frame
from gateway.service.routing.doubts import MARGIN, is_near_foreign, is_unsure
from tests.gateway.service.routing.any_rule import clip, field, scan


@pytest.mark.parametrize(
    ("result", "unsure"),
    [
        (scan("normal"), False),
        (scan("normal", "benign"), True),
        (scan(), True),
        (scan("normal", abstained=True), True),
        ({**scan(), "prediction_set": None}, False),
        (field(abstained=False), False),
        (field(abstained=True), True),
    ],
)
def test_an_answer_is_unsure_where_it_abstains_or_not_exactly_one_label_stays(result: dict[str, Any], unsure: bool) -> None:
    assert is_unsure(result) is unsure


@pytest.mark.parametrize(
    ("first", "second", "low", "unsure"),
    [(0.9, 0.1, 0.51, False), (0.9, 0.1, 0.5, True), (0.6, 0.4, 0.2, True), (0.6, 0.1, 0.36, False), (0.6, 0.1, 0.34, True)],
)
def test_a_clip_is_unsure_where_another_label_may_lead_elsewhere_in_the_scan(
    first: float, second: float, low: float, unsure: bool
) -> None:
    assert is_unsure(clip(first, second, low)) is unsure


def test_the_verdicts_of_both_domains_are_understood() -> None:
    rows = [{"label": "normal", "probability": 0.8}, {"label": "pneumonia", "probability": 0.2}]
    scanned = open_scan({})
    assert is_unsure(scanned.verdict().document)  # no frame: too few
    for second in range(30):
        scanned.add(Frame(second + 1, float(second), {"probabilities": rows}, {}))
    assert not is_unsure(scanned.verdict().document)
    driven = open_drive({})
    photo = {"width": 9, "height": 9, "abstained": False, "notices": [], "instances": [],
             "classes": [{"label": "soil", "area_fraction": 1.0}]}
    driven.add(Frame(1, 0.0, photo, {}))
    assert not is_unsure(driven.verdict().document)
    driven.add(Frame(2, 1.0, photo | {"abstained": True}, {}))
    driven.add(Frame(3, 2.0, photo | {"abstained": True}, {}))
    assert is_unsure(driven.verdict().document)


def test_a_picture_is_near_foreign_from_just_inside_of_what_the_model_knows() -> None:
    familiar = {"brightness": (0.2, 0.6)}
    for value, near in ((0.1, True), (0.2, True), (0.21, True), (0.23, False), (0.4, False), (0.57, False), (0.59, True), (0.7, True)):
        assert is_near_foreign({"brightness": value}, familiar) is near, value


def test_a_grey_scan_is_not_foreign_for_having_no_colour() -> None:
    assert not is_near_foreign({"colourfulness": 0.0}, {"colourfulness": (0.0, 0.0163)})
    assert is_near_foreign({"colourfulness": 0.016}, {"colourfulness": (0.0, 0.0163)})


def test_what_was_not_measured_or_is_not_known_of_the_model_says_nothing() -> None:
    assert not is_near_foreign({}, {"brightness": (0.2, 0.6)})
    assert not is_near_foreign({"brightness": 0.9, "thumbnail": "AAAA"}, {"thumbnail": (0.0, 1.0)})
    assert not is_near_foreign({"brightness": 0.9}, {})


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 2))
def test_whatever_a_clip_calls_foreign_is_near_foreign_here(one: float, other: float, value: float) -> None:
    low, high = sorted((one, other))
    foreign = usability.Usability(familiar={"sharpness": (low, high)}).fault_of({"sharpness": value}) == usability.FOREIGN
    near = is_near_foreign({"sharpness": value}, {"sharpness": (low, high)})
    assert near or not foreign
    middle = (1 - 2 * MARGIN) * (high - low) / 2
    assert near or abs(value - (low + high) / 2) <= middle + 1e-9 or low == 0
