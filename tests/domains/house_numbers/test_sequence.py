"""Verdicts on clips of one digit."""

from typing import Any

import pytest

from domains.house_numbers.domain import DOMAIN
from domains.house_numbers.sequence import NOTICE, open_sequence
from domains.sequences import Frame, Sequence
from tests.domains.house_numbers.test_house_numbers import model


def frame(number: int, seven: float, **quality: float) -> Frame:
    rows = [{"label": "1", "probability": 1 - seven}, {"label": "7", "probability": seven}]
    return Frame(number, number / 10, {"kind": "classification", "probabilities": rows}, quality)


def played(*shares: float, options: dict[str, Any] | None = None) -> Sequence:
    made = open_sequence(options or {})
    for number, share in enumerate(shares, 1):
        assert made.add(frame(number, share)) == ""
    return made


def test_every_usable_frame_weighs_the_same() -> None:
    document = played(0.9, 0.8, 0.1).verdict().document
    assert (document["label"], document["probability"]) == ("7", pytest.approx(0.6))
    assert not document["abstained"]


def test_a_blurred_frame_is_told_and_changes_nothing() -> None:
    made = played(0.9, 0.9, options={"sharp_from": 0.3})
    assert made.add(frame(3, 0.0, sharpness=0.1)) == "blurred"
    assert made.verdict().document["probability"] == pytest.approx(0.9)


def test_the_running_verdict_follows_another_digit_while_the_whole_remembers_the_first() -> None:
    made = played(*[0.1] * 60, *[0.9] * 12)
    assert made.running()["label"] == "7"
    assert made.verdict().document["label"] == "1"


def test_the_key_frame_is_the_one_that_shows_the_verdicts_digit_best() -> None:
    verdict = played(0.7, 0.95, 0.6).verdict()
    assert verdict.key_frames == (2,)
    assert verdict.document["key_frames"] == [{"number": 2, "time_s": 0.2, "label": "7", "probability": 0.95}]


def test_a_verdict_below_the_models_threshold_is_left_open_in_numbers() -> None:
    options = DOMAIN.sequence_options(model(abstain_below=0.8))
    document = played(0.7, 0.7, options=dict(options)).verdict().document
    assert document["abstention"]["code"] == "low_confidence"
    assert "0.70" in document["abstention"]["reason"]
    assert "0.80" in document["abstention"]["reason"]


def test_too_few_usable_frames_leave_it_open() -> None:
    made = played(0.9, options={"fewest_usable": 3})
    assert made.verdict().document["abstention"]["code"] == "too_few_usable_frames"
    spoilt = played(0.9, options={"sharp_from": 0.3, "least_usable_share": 0.5})
    for number in range(2, 5):
        spoilt.add(frame(number, 0.9, sharpness=0.0))
    assert "Of 4 frames 1 could be used" in spoilt.verdict().document["abstention"]["reason"]


def test_what_a_verdict_does_not_say_is_said() -> None:
    document = played(0.9).verdict().document
    assert document["interval"] is None
    assert document["timeline"] == []
    assert document["notices"] == [NOTICE]
