"""The house number domain, driven with arrays: no file, no interpreter."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import (
    Box,
    Classification,
    Image,
    InputSpec,
    InvalidParameter,
    MediaHeader,
    ModelSpec,
    Outputs,
    Pixels,
)
from domains.house_numbers.domain import DOMAIN

LABELS = tuple("0123456789")
SEVEN = np.eye(10, dtype=np.float32)[7]


def model(name: str = "digits", /, **changes: object) -> ModelSpec:
    options: dict[str, object] = {
        "temperature": 1.0, "abstain_below": 0.6, "prediction_set_threshold": 0.2, "coverage": 0.9,
    }
    return ModelSpec(name, "1.0.0", "house_numbers", name, LABELS, InputSpec(32, 32, 127.0, 128.0, 1), options | changes)


DIGITS = model()


def picture(width: int = 40, height: int = 40) -> Image:
    return Image(np.zeros((height, width, 3), np.uint8), width, height)


def answered(outputs: Outputs, *, image: Image | None = None, spec: ModelSpec = DIGITS,
             **parameters: object) -> tuple[Classification, Pixels]:
    image = image or picture()
    plan = DOMAIN.plan(MediaHeader("png", image.full_width, image.full_height), parameters, [spec])
    flow = DOMAIN.flow(image, plan)
    call = next(flow)
    assert call.model == spec.name
    with pytest.raises(StopIteration) as ended:  # a digit needs one run only
        flow.send(outputs)
    result = ended.value.value
    assert isinstance(result, Classification)
    return result, call.pixels


def logits(values: NDArray[np.float32]) -> Outputs:
    return {"logits": values[None]}


def test_the_leading_digit_and_its_probability_follow_the_network() -> None:
    result, _ = answered(logits(3 * SEVEN))
    assert result.label == "7"
    assert result.probabilities[7] == pytest.approx(np.exp(3) / (np.exp(3) + 9))
    assert result.abstention is None


def test_a_network_that_ends_in_softmax_is_answered_by_its_own_probabilities() -> None:
    shares = np.array([0.02] * 10, np.float32) + 0.8 * SEVEN
    result, _ = answered({"probabilities": shares[None]})
    assert result.probabilities == pytest.approx(shares, abs=1e-6)
    calmer, _ = answered({"probabilities": shares[None]}, spec=model(temperature=2.0, abstain_below=0.0))
    assert calmer.probabilities[7] == pytest.approx(np.sqrt(0.82) / (np.sqrt(0.82) + 9 * np.sqrt(0.02)), abs=1e-6)


def test_a_probability_that_int8_has_rounded_to_zero_is_small_and_not_impossible() -> None:
    result, _ = answered({"probabilities": SEVEN[None]})
    assert 0.001 < min(result.probabilities) < 0.002
    assert 0.98 < result.probabilities[7] < 1


def test_an_unsure_answer_is_left_open_and_says_why_in_numbers() -> None:
    result, _ = answered(logits(SEVEN))
    assert result.abstention is not None
    assert result.abstention.code == "low_confidence"
    assert "7, has a probability of 0.23" in result.abstention.reason
    assert "0.60" in result.abstention.reason


def test_the_prediction_set_holds_every_digit_that_is_not_ruled_out() -> None:
    result, _ = answered(logits(4 * SEVEN + 4 * np.eye(10, dtype=np.float32)[1]))
    assert result.prediction_set == ("1", "7")
    assert result.coverage == 0.9


def test_the_box_says_where_the_digit_is_and_only_its_square_is_shown_to_the_model() -> None:
    image = picture(120, 80)
    image.pixels[10:50, 30:70] = 200
    result, seen = answered(logits(SEVEN), image=image, box="40,10,20,40")
    assert result.region == Box(30, 10, 40, 40)
    assert seen.shape == (1, 32, 32, 1)
    assert (seen == 200).all()


@pytest.mark.parametrize("box", ["40,10,20,40", " 40, 10, 20, 40 ", [40, 10, 20, 40], [40.0, 10.0, 20.0, 40.0]],
                         ids=["text", "text with blanks", "JSON", "Protobuf"])
def test_a_box_may_come_as_text_or_as_numbers_and_is_stored_as_numbers(box: object) -> None:
    plan = DOMAIN.plan(MediaHeader("png", 120, 80), {"box": box}, [DIGITS])
    assert plan.parameters == {"model": "digits", "box": [40, 10, 20, 40]}


@pytest.mark.parametrize("box", [
    "", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,5", "-1,0,5,5", "100,0,21,5", "0,70,5,11", 7, True, [1, 2, 3, None],
    [float("inf"), 0, 1, 1], [0.5, 0, 1, 1], "99999999999999999999,0,1,1", {"x": 1}, "²,0,1,1",
])
def test_a_box_that_is_none_or_leaves_the_picture_is_refused_with_the_pictures_size(box: object) -> None:
    with pytest.raises(InvalidParameter, match="inside the picture of 120x80") as caught:
        DOMAIN.plan(MediaHeader("png", 120, 80), {"box": box}, [DIGITS])
    assert caught.value.parameter == "box"


def test_without_a_box_the_whole_picture_is_the_digit() -> None:
    result, _ = answered(logits(SEVEN), image=picture(50, 20))
    assert result.region == Box(0, 0, 50, 20)
    assert DOMAIN.plan(MediaHeader("png", 50, 20), {}, [DIGITS]).parameters == {"model": "digits"}


def test_the_only_model_needs_no_name_and_of_several_one_must_be_named() -> None:
    header, others = MediaHeader("png", 32, 32), [model("street"), model("signs")]
    assert DOMAIN.plan(header, {}, [DIGITS]).model is DIGITS
    assert DOMAIN.plan(header, {"model": "signs"}, others).model is others[1]
    unfit: tuple[dict[str, object], ...] = ({}, {"model": "numbers"}, {"model": 3})
    for parameters in unfit:
        with pytest.raises(InvalidParameter, match="one of: signs, street") as caught:
            DOMAIN.plan(header, parameters, others)
        assert caught.value.parameter == "model"


def test_an_unknown_parameter_is_refused_with_the_accepted_ones() -> None:
    with pytest.raises(InvalidParameter, match="model, box") as caught:
        DOMAIN.plan(MediaHeader("png", 10, 10), {"bocks": "0,0,1,1"}, [DIGITS])
    assert caught.value.parameter == "bocks"


def test_callers_see_the_installed_models_as_choices() -> None:
    named, box = DOMAIN.parameters([model("street"), model("signs")])
    assert named.choices == ("signs", "street")
    assert box.name == "box"
    assert DOMAIN.selector(DIGITS) == {"model": "digits"}


@pytest.mark.parametrize(("changes", "named"), [
    ({"temperature": 0}, "temperature"), ({"abstain_below": 2}, "abstain_below"), ({"surprise": 1}, "surprise"),
    ({"coverage": "much"}, "coverage"), ({"sequence": {"sharp_form": 1}}, "sequence"),
])
def test_a_manifest_with_wrong_options_is_refused_by_the_keys_name(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DOMAIN.check_model(model(**changes))


def test_a_model_that_takes_colours_is_refused() -> None:
    with pytest.raises(ValueError, match="channels must be 1"):
        DOMAIN.check_model(replace(DIGITS, input=InputSpec(32, 32, 127.0, 128.0)))
