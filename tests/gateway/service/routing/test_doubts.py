"""Which answers are worth a second opinion."""

from typing import Any

import pytest

from domains.crop_weed.sequence import open_sequence as open_drive
from domains.pathology.sequence import open_sequence as open_scan
from domains.sequences import Frame
from gateway.service.routing.doubts import is_near_foreign, is_unsure
from tests.gateway.service.routing.any_rule import clip, field, scan


@pytest.mark.parametrize(
    ("result", "unsure"),
    [
        (scan("normal"), False),
        (scan("normal", "benign"), True),
        (scan("normal", abstained=True), True),
        ({**scan(), "prediction_set": None}, False),
        (field(abstained=False), False),
        (field(abstained=True), True),
    ],
)
def test_an_answer_is_unsure_where_it_abstains_or_several_labels_stay(result: dict[str, Any], unsure: bool) -> None:
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


def test_a_picture_is_near_foreign_from_just_below_where_the_model_would_refuse_it() -> None:
    for value, near in ((0.9, False), (1.79, False), (1.8, True), (1.99, True), (40.0, True)):
        assert is_near_foreign({"unfamiliarity": value}, 2.0) is near, value


def test_a_model_without_a_gate_says_nothing_of_how_foreign_a_picture_is() -> None:
    assert not is_near_foreign({}, 2.0)
    assert not is_near_foreign({"unfamiliarity": 40.0}, None)
