"""Verdicts on scans: what a user sees of a clip, or of a probe that moves."""

import base64
from typing import Any

import numpy as np
import pytest

from domains.core import ModelSpec, Pixels
from domains.core.quality import measure
from domains.core.spec import InputSpec
from domains.pathology.domain import DOMAIN
from domains.pathology.sequence import open_sequence
from domains.pathology.training import usability
from domains.sequences import Frame, Sequence

FPS = 25.0


def frame(number: int, abnormal: float, *, fps: float = FPS, **quality: Any) -> Frame:
    """A frame with this probability of `abnormal`."""
    rows = [{"label": "normal", "probability": 1 - abnormal}, {"label": "abnormal", "probability": abnormal}]
    return Frame(number, (number - 1) / fps, {"kind": "classification", "probabilities": rows}, quality)


def played(*shares: float, fps: float = FPS, options: dict[str, Any] | None = None) -> Sequence:
    made = open_sequence(options or {})
    for number, share in enumerate(shares, 1):
        made.add(frame(number, share, fps=fps))
    return made


def width(document: dict[str, Any]) -> float:
    found: float = document["interval"]["high"] - document["interval"]["low"]
    return found


def test_the_verdict_is_the_mean_over_all_usable_frames() -> None:
    document = played(0.9, 0.7, 0.8).verdict().document
    assert (document["label"], document["probability"]) == ("abnormal", pytest.approx(0.8))
    assert [row["probability"] for row in document["probabilities"]] == pytest.approx([0.2, 0.8])
    assert (document["abstained"], document["kind"]) == (False, "clip_classification")
    assert document["interval"]["low"] < 0.8 < document["interval"]["high"]


def test_blurred_frames_weigh_nothing_however_sure_their_answers_are() -> None:
    made = open_sequence({"sharp_from": 0.3})
    for number in range(1, 11):
        made.add(frame(number, 0.1, sharpness=0.5))
    for number in range(11, 61):
        assert made.add(frame(number, 1.0, sharpness=0.1)) == "blurred"
    document = made.verdict().document
    assert (document["label"], document["probability"]) == ("normal", pytest.approx(0.9))
    assert document["frames"] == {"analysed": 60, "usable": 10, "usable_share": 0.1667, "unusable": {"blurred": 50}}


def test_the_running_verdict_follows_the_probe_while_the_final_one_remembers_all() -> None:
    made = played(*[0.05] * 250, *[0.95] * 150)
    assert made.running()["label"] == "abnormal"
    assert made.running()["probability"] > 0.8
    assert made.verdict().document["label"] == "normal"


def test_the_running_verdict_moves_by_media_time_and_not_by_frame_count() -> None:
    slow, fast = (played(*[0.0] * int(4 * fps), *[1.0] * int(2 * fps), fps=fps).running() for fps in (5.0, 50.0))
    assert slow["probability"] == pytest.approx(fast["probability"], abs=0.06)


def test_a_probe_that_is_lifted_has_no_running_verdict_to_stand_by_and_gets_it_back() -> None:
    made = open_sequence({"bright_from": 0.1})
    for number in range(1, 51):
        made.add(frame(number, 0.9, brightness=0.4))
    assert not made.running()["abstained"]
    for number in range(51, 51 + int(20 * FPS)):
        made.add(frame(number, 0.9, brightness=0.0))
    lifted = made.running()
    assert (lifted["abstained"], lifted["abstention"]["code"]) == (True, "too_few_usable_frames")
    assert "50 could be used, none of them lately (500 dark)" in lifted["abstention"]["reason"]
    assert lifted["usable_share"] < 0.01
    for number in range(551, 560):
        made.add(frame(number, 0.9, brightness=0.4))
    assert not made.running()["abstained"]


def foreign(number: int) -> Frame:
    refused = {"code": "foreign", "reason": "This does not look like a breast ultrasound."}
    return Frame(number, (number - 1) / FPS, {"kind": "classification", "probabilities": [], "abstention": refused}, {})


def test_a_clip_of_something_else_is_called_so_and_gets_no_label_for_the_few_frames_that_passed() -> None:
    made = open_sequence({"fewest_usable": 3, "least_usable_share": 0.25, "world": "breast ultrasound"})
    for number in range(1, 21):
        assert made.add(frame(number, 0.99) if number in {4, 9, 10, 11} else foreign(number)) in {"", "foreign"}
    for document in (made.verdict().document, made.running()):
        assert document["abstention"]["code"] == "foreign"
        assert document["abstention"]["reason"] == "Not a breast ultrasound: 16 of 20 frames do not look like one."
        assert (document["label"], document["probability"], document["probabilities"], document["interval"]) == ("", 0.0, [], None)
    assert made.verdict().key_frames == ()
    assert {point["probability"] for point in made.verdict().document["timeline"]} == {0.0}


def test_a_scan_between_two_looks_at_the_wall_keeps_its_verdict() -> None:
    made = open_sequence({"fewest_usable": 3, "least_usable_share": 0.25, "world": "breast ultrasound"})
    for number in range(1, 101):
        made.add(frame(number, 0.9) if 30 < number <= 70 else foreign(number))
    document = made.verdict().document
    assert (document["label"], document["abstained"]) == ("abnormal", False)
    assert document["frames"]["unusable"] == {"foreign": 60}


def test_a_probe_that_is_laid_aside_is_said_to_see_something_else_until_it_scans_again() -> None:
    made = open_sequence({"fewest_usable": 3, "least_usable_share": 0.25, "world": "breast ultrasound"})
    for number in range(1, 51):
        made.add(frame(number, 0.9))
    for number in range(51, 251):
        made.add(foreign(number))
    assert made.running()["abstention"]["code"] == "foreign"
    for number in range(251, 351):
        made.add(frame(number, 0.9))
    assert not made.running()["abstained"]


def test_where_frames_are_spoilt_in_several_ways_too_few_are_usable() -> None:
    made = open_sequence({"fewest_usable": 3, "bright_from": 0.1})
    for number in range(1, 11):
        made.add(foreign(number) if number % 2 else frame(number, 0.9, brightness=0.0))
    assert made.verdict().document["abstention"]["code"] == "too_few_usable_frames"


def test_before_the_first_usable_frame_there_is_no_label() -> None:
    made = open_sequence({"sharp_from": 0.3})
    made.add(frame(1, 0.9, sharpness=0.1))
    running = made.running()
    assert (running["label"], running["interval"], running["probabilities"], running["abstained"]) == ("", None, [], True)
    document = made.verdict().document
    assert (document["label"], document["key_frames"], document["abstention"]["code"]) == ("", [], "too_few_usable_frames")
    assert document["timeline"] == [{"time_s": 0.0, "probability": 0.0, "usable": False}]


@pytest.mark.parametrize(
    ("usable", "spoilt", "left_open"), [(2, 0, True), (3, 0, False), (10, 29, False), (10, 31, True)],
    ids=["too few frames", "just enough", "a quarter", "less than a quarter"],
)
def test_too_few_usable_frames_leave_the_verdict_open(usable: int, spoilt: int, left_open: bool) -> None:
    made = open_sequence({"fewest_usable": 3, "least_usable_share": 0.25, "sharp_from": 0.3})
    for number in range(1, usable + spoilt + 1):
        made.add(frame(number, 0.99, sharpness=0.5 if number <= usable else 0.0))
    document = made.verdict().document
    assert document["abstained"] == left_open
    assert (document["abstention"] or {"code": None})["code"] == ("too_few_usable_frames" if left_open else None)


def test_a_frozen_picture_says_nothing_new_but_does_not_spoil_what_was_seen() -> None:
    made = open_sequence({"moved_from": 0.2, "least_usable_share": 0.25})
    for number in range(1, 11):
        made.add(frame(number, 0.9, thumbnail="AAAA" if number % 2 else "zzzz"))
    faults = [made.add(frame(number, 0.1, thumbnail="zzzz")) for number in range(11, 200)]
    assert set(faults) == {"frozen"}
    document = made.verdict().document
    assert (document["label"], document["abstained"]) == ("abnormal", False)


def test_a_slow_change_is_not_taken_for_a_frozen_picture() -> None:
    made = open_sequence({"moved_from": 2.5})
    levels = [bytes([level, level, level]) for level in range(100, 130)]
    faults = [made.add(frame(number, 0.5, thumbnail=base64.b64encode(level).decode()))
              for number, level in enumerate(levels, 1)]
    assert faults == ["", "frozen", "frozen"] * 10, "each step is small, but they add up"


def test_a_verdict_under_the_models_threshold_is_left_open_and_says_so_in_numbers() -> None:
    document = played(*[0.56] * 20, options={"abstain_below": 0.6}).verdict().document
    assert document["abstention"]["code"] == "low_confidence"
    assert "0.56" in document["abstention"]["reason"]
    assert "0.60" in document["abstention"]["reason"]


def test_more_frames_of_the_same_second_do_not_make_the_verdict_surer_but_more_seconds_do() -> None:
    short, dense, long = (played(*[0.8] * count, fps=fps).verdict().document
                          for count, fps in ((25, 25.0), (250, 250.0), (250, 25.0)))
    assert width(short) == pytest.approx(width(dense), abs=0.02)
    assert width(long) < 0.6 * width(short)


def test_frames_that_agree_wholly_still_leave_room_for_doubt() -> None:
    document = played(*[1.0] * 100).verdict().document
    assert document["interval"]["high"] == 1.0
    assert 0.5 < document["interval"]["low"] < 0.8


def test_key_frames_are_the_clearest_for_the_verdicts_label_and_lie_apart() -> None:
    shares = [0.6] * 200
    for peak, share in ((30, 0.99), (31, 0.98), (110, 0.95), (170, 0.97)):
        shares[peak] = share
    verdict = played(*shares, *[0.2] * 10).verdict()
    assert verdict.key_frames == (31, 171, 111)
    rows = verdict.document["key_frames"]
    assert [row["probability"] for row in rows] == [0.99, 0.97, 0.95]
    assert {row["label"] for row in rows} == {"abnormal"}


def test_of_two_frames_that_are_as_sure_the_sharper_is_the_key_frame() -> None:
    made = open_sequence({})
    for number in range(1, 4):
        made.add(frame(number, 0.9, sharpness=0.8 if number == 2 else 0.4))
    assert made.verdict().key_frames[0] == 2


def test_the_timeline_is_smooth_whole_and_never_longer_than_200_points() -> None:
    made = played(*([0.0, 1.0] * 1500))
    timeline = made.verdict().document["timeline"]
    assert 100 <= len(timeline) <= 200
    assert timeline[0]["time_s"] == 0.0
    assert timeline[-1]["time_s"] > 0.98 * 2999 / FPS
    assert [row["time_s"] for row in timeline] == sorted(row["time_s"] for row in timeline)
    assert all(abs(row["probability"] - 0.5) < 0.05 for row in timeline[2:])


@pytest.mark.parametrize("times", [[0.0, 0.0, 0.0], [5.0, 1.0, 9.0], [0.0, 1e6, 1e6]], ids=["equal", "backwards", "a long gap"])
def test_times_that_make_no_sense_break_nothing(times: list[float]) -> None:
    made = open_sequence({})
    for number, time_s in enumerate(times, 1):
        rows = frame(number, 0.7).result
        made.add(Frame(number, time_s, rows, {}))
        assert made.running()["probability"] == pytest.approx(0.7)
    assert made.verdict().document["probability"] == pytest.approx(0.7)


def test_a_package_without_a_word_on_sequences_still_loads_and_refuses_no_frame() -> None:
    options: dict[str, object] = {
        "exam": "knee", "dicom": {"modality": ["US"]}, "temperature": 1.0, "abstain_below": 0.6,
        "prediction_set_threshold": 0.2, "coverage": 0.9,
    }
    model = ModelSpec("knee", "1", "pathology", "knee", ("normal", "abnormal"), InputSpec(56, 56, 127.0, 128.0), options)
    made = open_sequence(DOMAIN.sequence_options(model))
    assert made.add(frame(1, 0.9, sharpness=0.0, brightness=0.0, contrast=0.0, thumbnail="AAAA")) == ""
    assert made.add(frame(2, 0.9, thumbnail="AAAA")) == ""
    assert not made.verdict().document["abstained"]


@pytest.mark.parametrize("table", [{"sharp_form": 0.1}, {"half_life_s": 0}, {"fewest_usable": 0}],
                         ids=["misspelt", "no time", "no frame"])
def test_a_manifest_with_a_wrong_sequence_table_is_refused_by_name(table: dict[str, object]) -> None:
    options: dict[str, object] = {
        "exam": "knee", "dicom": {"modality": ["US"]}, "temperature": 1.0, "abstain_below": 0.6,
        "prediction_set_threshold": 0.2, "coverage": 0.9, "sequence": table,
    }
    model = ModelSpec("knee", "1", "pathology", "knee", ("normal", "abnormal"), InputSpec(56, 56, 127.0, 128.0), options)
    with pytest.raises(ValueError, match=r"domain_options: .*sequence"):
        DOMAIN.check_model(model)


def scan(seed: int, *, gain: float = 1.0) -> Pixels:
    random = np.random.default_rng(seed)
    grey = np.clip(random.normal(90, 40, (224, 224)) * gain, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def test_thresholds_from_training_frames_let_those_pass_and_refuse_dark_and_blurred_ones() -> None:
    made = open_sequence(usability.thresholds(scan(seed, gain=0.7 + 0.05 * seed) for seed in range(12)))

    def fault(pixels: Pixels) -> str:
        return made.add(frame(1, 0.9, **measure(pixels)))

    assert [fault(scan(seed)) for seed in range(20, 25)] == [""] * 5
    assert fault(scan(1, gain=0.02)) == "dark"
    assert fault(np.repeat(np.repeat(scan(2)[::32, ::32], 32, 0), 32, 1)) == "blurred"
