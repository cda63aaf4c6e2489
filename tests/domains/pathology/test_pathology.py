"""The pathology domain, driven with arrays: no file, no interpreter."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import (
    Box,
    Classification,
    DicomDescription,
    Flow,
    Image,
    InputSpec,
    InvalidParameter,
    MediaHeader,
    ModelSpec,
    Outputs,
    Pixels,
    UltrasoundRegion,
    UnknownExam,
)
from domains.pathology.domain import DOMAIN

LABELS = ("benign", "malignant", "normal")
Network = Callable[[Pixels], Outputs]


def model(exam: str = "breast_ultrasound", *, parts: tuple[str, ...] = ("BREAST",),
          keywords: tuple[str, ...] = ("breast",), **changes: object) -> ModelSpec:
    options: dict[str, object] = {
        "exam": exam,
        "dicom": {"modality": ["US"], "body_part": list(parts), "study_description": list(keywords)},
        "temperature": 1.0, "abstain_below": 0.6, "prediction_set_threshold": 0.2, "coverage": 0.9,
    }
    return ModelSpec(exam, "1.0.0", "pathology", exam, LABELS, InputSpec(56, 56, 127.0, 128.0), options | changes)


BREAST = model()
LUNG = model("lung_ultrasound", parts=("LUNG", "CHEST"), keywords=("lung", "thorax"))


def picture(width: int = 120, height: int = 80, *, frame_number: int = 1, frame_count: int = 1,
            regions: tuple[UltrasoundRegion, ...] = ()) -> Image:
    return Image(np.zeros((height, width, 3), np.uint8), width, height, frame_number, frame_count, regions)


def network(*logits: float, activation: NDArray[np.float32] | None = None) -> Network:
    """Answers the same whatever it sees."""
    shown = np.zeros((1, 4, 4, len(logits)), np.float32) if activation is None else activation
    return lambda _: {"logits": np.array([logits], np.float32), "activation": shown}


def drive(flow: Flow, run: Network) -> tuple[Classification, Pixels]:
    call = next(flow)
    with pytest.raises(StopIteration) as ended:  # a scan needs one run only
        flow.send(run(call.pixels))
    result = ended.value.value
    assert isinstance(result, Classification)
    return result, call.pixels


def answer(run: Network, *, image: Image | None = None, spec: ModelSpec = BREAST, **parameters: object) -> Classification:
    image = image or picture()
    header = MediaHeader("png", image.full_width, image.full_height, image.frame_count)
    plan = DOMAIN.plan(header, {"exam": spec.options["exam"], **parameters}, [spec])
    return drive(DOMAIN.flow(image, plan), run)[0]


def test_the_leading_label_and_its_probability_follow_the_network() -> None:
    result = answer(network(0.0, 3.0, 0.0))
    assert result.label == "malignant"
    assert result.probabilities[1] == pytest.approx(np.exp(3) / (np.exp(3) + 2))
    assert result.abstention is None


def test_a_temperature_above_one_makes_probabilities_less_extreme() -> None:
    sharp, soft = (max(answer(network(0.0, 3.0, 0.0), spec=model(temperature=t)).probabilities) for t in (1.0, 3.0))
    assert soft < sharp


def test_an_unsure_answer_is_left_open_and_says_why_in_numbers() -> None:
    result = answer(network(0.1, 0.0, 0.0))
    assert result.abstention is not None
    assert result.abstention.code == "low_confidence"
    assert "0.36" in result.abstention.reason
    assert "0.60" in result.abstention.reason


def test_the_prediction_set_holds_every_label_that_is_not_ruled_out() -> None:
    result = answer(network(2.0, 2.0, -4.0))
    assert result.prediction_set == ("benign", "malignant")
    assert result.coverage == 0.9


def test_the_leading_label_is_in_the_prediction_set_however_little_it_stands_out() -> None:
    assert answer(network(0.2, 0.1, 0.0), spec=model(prediction_set_threshold=0.9)).prediction_set == ("benign",)


GATED = replace(model(gate={"foreign_from": 2.0, "world": "breast ultrasound"}),
                outputs=frozenset({"logits", "activation", "familiarity"}))


def strange(value: float) -> Network:
    sure = network(0.0, 9.0, 0.0)
    return lambda pixels: {**sure(pixels), "familiarity": np.full((1, 48), value, np.float32)}


def test_a_foreign_picture_gets_no_label_however_sure_the_network_is() -> None:
    result = answer(strange(1.5), spec=GATED)
    assert result.abstention is not None
    assert result.abstention.code == "foreign"
    assert "breast ultrasound" in result.abstention.reason
    assert (result.label, result.probabilities, result.prediction_set, result.heatmap) == ("", (), (), None)
    assert result.signals["unfamiliarity"] == 2.25


def test_a_picture_of_the_models_world_is_answered_and_says_how_familiar_it_is() -> None:
    result = answer(strange(1.0), spec=GATED)
    assert (result.label, result.abstention) == ("malignant", None)
    assert result.signals["unfamiliarity"] == 1.0


def test_a_network_without_a_gate_answers_everything_and_still_says_how_familiar_it_is() -> None:
    assert answer(strange(30.0)).signals["unfamiliarity"] == 900.0
    assert "unfamiliarity" not in answer(network(0.0, 9.0, 0.0)).signals


def test_a_model_with_a_gate_needs_the_output_that_the_gate_looks_at() -> None:
    DOMAIN.check_model(GATED)
    with pytest.raises(ValueError, match=r"gate: .*'familiarity'"):
        DOMAIN.check_model(replace(GATED, outputs=frozenset({"logits", "activation"})))


def test_the_heat_map_is_the_leading_labels_evidence_from_zero_to_one() -> None:
    activation = np.zeros((1, 14, 14, 3), np.float32)
    activation[0, 3, 5, 1] = 8.0
    activation[0, 6, 6, 1] = 4.0
    activation[0, 9, 9, 1] = -5.0
    activation[0, 0, 0, 0] = 99.0
    heatmap = answer(network(0.0, 3.0, 0.0, activation=activation)).heatmap
    assert heatmap is not None
    assert heatmap.shape == (14, 14)
    assert heatmap[3, 5] == 1.0
    assert heatmap[6, 6] == 0.5
    assert heatmap[9, 9] == 0.0
    assert heatmap[0, 0] == 0.0


def test_a_heat_map_without_any_evidence_is_empty_and_not_noise() -> None:
    heatmap = answer(network(0.0, 3.0, 0.0, activation=np.full((1, 4, 4, 3), -1, np.float32))).heatmap
    assert heatmap is not None
    assert not heatmap.any()


def test_only_the_tissue_region_is_shown_to_the_model_and_the_box_says_where_it_was() -> None:
    image = picture(regions=(UltrasoundRegion(20, 10, 99, 59, 1, 1), UltrasoundRegion(0, 0, 119, 79, 3, 1)))
    image.pixels[10:60, 20:100] = 200
    plan = DOMAIN.plan(MediaHeader("dicom", 120, 80), {"exam": "breast_ultrasound"}, [BREAST])
    result, seen = drive(DOMAIN.flow(image, plan), network(1.0, 0.0, 0.0))
    assert result.region == Box(20, 10, 80, 50)
    assert seen.shape == (1, 56, 56, 3)
    assert (seen == 200).all()


def test_the_largest_tissue_region_wins_over_a_larger_one_of_flow() -> None:
    image = picture(regions=(UltrasoundRegion(0, 0, 39, 39, 1, 1), UltrasoundRegion(40, 0, 89, 49, 1, 1),
                             UltrasoundRegion(0, 0, 119, 79, 1, 2)))
    assert answer(network(1.0, 0.0, 0.0), image=image).region == Box(40, 0, 50, 50)


def test_a_region_beyond_the_picture_is_cut_at_its_edge() -> None:
    image = picture(regions=(UltrasoundRegion(50, 30, 500, 400, 1, 1),))
    assert answer(network(1.0, 0.0, 0.0), image=image).region == Box(50, 30, 70, 50)


def test_a_picture_decoded_at_half_size_shows_the_same_region() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[5:30, 10:50] = 200
    image = Image(pixels, 120, 80, regions=(UltrasoundRegion(20, 10, 99, 59, 1, 1),))
    plan = DOMAIN.plan(MediaHeader("dicom", 120, 80), {"exam": "breast_ultrasound"}, [BREAST])
    result, seen = drive(DOMAIN.flow(image, plan), network(1.0, 0.0, 0.0))
    assert result.region == Box(20, 10, 80, 50)
    assert (seen == 200).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 900), (2000, 17), (56, 56)])
def test_pictures_of_any_size_are_answered(width: int, height: int) -> None:
    assert answer(network(1.0, 0.0, 0.0), image=picture(width, height)).region == Box(0, 0, width, height)


@pytest.mark.parametrize(("modality", "part", "study", "chosen"), [
    ("US", "BREAST", "", "breast_ultrasound"),
    ("us", " breast ", "", "breast_ultrasound"),
    ("US", "", "Mamma / BREAST left", "breast_ultrasound"),
    ("US", "LUNG", "", "lung_ultrasound"),
    ("US", "LUNG", "lung and breast", "lung_ultrasound"),
])
def test_a_dicom_file_that_names_its_exam_needs_no_parameter(modality: str, part: str, study: str, chosen: str) -> None:
    header = MediaHeader("dicom", 10, 10, dicom=DicomDescription(modality, part, study))
    assert DOMAIN.plan(header, {}, [BREAST, LUNG]).model.name == chosen


@pytest.mark.parametrize(("modality", "part", "study"), [
    ("CT", "BREAST", "breast"), ("US", "HEART", "echo"), ("US", "", ""), ("", "BREAST", ""),
    ("US", "", "breast and lung"),
])
def test_a_dicom_file_that_fits_no_exam_or_two_is_refused_with_the_choices(modality: str, part: str, study: str) -> None:
    header = MediaHeader("dicom", 10, 10, dicom=DicomDescription(modality, part, study))
    with pytest.raises(UnknownExam, match="breast_ultrasound, lung_ultrasound") as caught:
        DOMAIN.plan(header, {}, [BREAST, LUNG])
    assert not part or part not in str(caught.value)


def test_the_named_exam_wins_over_the_dicom_header() -> None:
    header = MediaHeader("dicom", 10, 10, dicom=DicomDescription("US", "BREAST", ""))
    assert DOMAIN.plan(header, {"exam": "lung_ultrasound"}, [BREAST, LUNG]).model is LUNG


@pytest.mark.parametrize("parameters", [{}, {"exam": "knee"}, {"exam": 3}, {"exam": ["lung_ultrasound"]}])
def test_a_picture_without_a_known_exam_is_refused_with_the_choices(parameters: dict[str, object]) -> None:
    with pytest.raises(UnknownExam, match="breast_ultrasound, lung_ultrasound") as caught:
        DOMAIN.plan(MediaHeader("png", 10, 10), parameters, [LUNG, BREAST])
    assert "knee" not in str(caught.value)


def test_an_unknown_parameter_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(InvalidParameter, match="exam, frame") as caught:
        DOMAIN.plan(MediaHeader("png", 10, 10), {"exam": "lung_ultrasound", "exma": 1}, [LUNG])
    assert caught.value.parameter == "exma"


def test_the_middle_frame_of_a_clip_is_analysed_and_the_answer_says_so() -> None:
    plan = DOMAIN.plan(MediaHeader("dicom", 120, 80, 30), {"exam": "breast_ultrasound"}, [BREAST])
    assert plan.frame_number == 15
    result = answer(network(1.0, 0.0, 0.0), image=picture(frame_number=15, frame_count=30))
    assert result.notices == ("Frame 15 of 30 was analysed; name another with the parameter 'frame'.",)


def test_a_frame_that_the_caller_named_needs_no_notice() -> None:
    image = picture(frame_number=30, frame_count=30)
    assert answer(network(1.0, 0.0, 0.0), image=image, frame="30").notices == ()


@pytest.mark.parametrize("frame", [0, 31, -1, 1.5, "two", True, "²"])
def test_a_frame_that_is_not_there_is_refused_with_the_range(frame: object) -> None:
    parameters = {"exam": "breast_ultrasound", "frame": frame}
    with pytest.raises(InvalidParameter, match="from 1 to 30"):
        DOMAIN.plan(MediaHeader("dicom", 10, 10, 30), parameters, [BREAST])


@pytest.mark.parametrize(("changes", "named"), [
    ({"temperature": 0}, "temperature"), ({"abstain_below": 2}, "abstain_below"), ({"surprise": 1}, "surprise"),
    ({"dicom": {"modality": 3}}, "modality"), ({"coverage": "much"}, "coverage"),
])
def test_a_manifest_with_wrong_options_is_refused_by_the_keys_name(changes: dict[str, object], named: str) -> None:
    wrong = replace(BREAST, options={**BREAST.options, **changes})
    with pytest.raises(ValueError, match=named):
        DOMAIN.check_model(wrong)


def test_the_installed_exams_are_the_choices_that_callers_see() -> None:
    exam, frame = DOMAIN.parameters([LUNG, BREAST])
    assert exam.choices == ("breast_ultrasound", "lung_ultrasound")
    assert frame.name == "frame"
