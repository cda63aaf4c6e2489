"""What the model is trained and measured on, and the figures over it."""

from pathlib import Path

import numpy as np
import pytest

from domains.core import Abstention, Box, Classification, Outputs, Pixels
from domains.house_numbers.training import RECIPES
from domains.house_numbers.training.data import crop, digits
from domains.house_numbers.training.scoring import figures, score
from tests.domains.house_numbers import drawn

LABELS = tuple("0123456789")
(RECIPE,) = RECIPES


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn.data_folder(tmp_path_factory.mktemp("data"))


def result(leading: int, *, kept: tuple[str, ...] = (), open_: bool = False) -> Classification:
    shares = tuple(0.91 if index == leading else 0.01 for index in range(10))
    return Classification(LABELS, shares, Box(0, 0, 1, 1), kept, 0.9, Abstention("low_confidence", "unsure") if open_ else None)


def test_all_digits_of_a_photo_are_in_one_part_and_every_part_has_some(data: Path) -> None:
    found = digits(data)
    assert len(found) == 120
    parts = {digit.photo: {other.part for other in found if other.photo == digit.photo} for digit in found}
    assert all(len(part) == 1 for part in parts.values())
    assert {digit.part for digit in found} == {"train", "calibration", "val"}
    assert sum(part == {"val"} for part in parts.values()) == round(0.15 * 60)


def test_the_parts_are_the_same_each_time(data: Path) -> None:
    assert [digit.part for digit in digits(data)] == [digit.part for digit in digits(data)]


def test_a_crop_shows_the_digit_of_its_row(data: Path) -> None:
    second = digits(data)[3]
    assert second.label == 5
    whole = drawn.digit(5, font=drawn.FONTS[2])
    seen = crop(second, RECIPE.identity.input)[0, :, :, 0].astype(float)
    wanted = whole[::2, ::2, 0].astype(float)
    assert abs(np.corrcoef(seen.ravel(), wanted.ravel())[0, 1]) > 0.95


def test_a_held_out_case_asks_the_gateway_for_the_box_in_the_photo(data: Path) -> None:
    cases = RECIPE.cases(data)
    digit = next(one for one in digits(data) if one.part == "val")
    assert cases[0].file == digit.photo
    assert cases[0].group == digit.photo.name
    assert cases[0].parameters == {"model": "svhn_digits", "box": [digit.box.x, 0, 64, 64]}


def test_a_folder_without_the_data_set_is_refused_by_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"boxes\.csv"):
        digits(tmp_path)


def test_calibration_gives_the_options_that_the_domain_takes(data: Path) -> None:
    def run(pixels: Pixels) -> Outputs:
        return {"probabilities": np.full((1, 10), 0.05, np.float32) + 0.5 * np.eye(10, dtype=np.float32)[[pixels[0, 0, 0, 0] % 10]]}

    assert set(RECIPE.calibrate(data, run)) == {"temperature", "abstain_below", "prediction_set_threshold", "coverage"}


def test_figures_count_digits_and_leave_out_those_that_there_are_none_of() -> None:
    scores = [score(7, result(7, kept=("7",))), score(7, result(1, kept=("1", "7"), open_=True)), score(2, result(2))]
    found = figures(scores, LABELS)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert (found["recall_7"], found["recall_2"]) == (0.5, 1.0)
    assert np.isnan(found["recall_0"])
    assert found["answered_share"] == pytest.approx(2 / 3)
    assert found["answered_accuracy"] == 1.0
    assert found["prediction_set_coverage"] == pytest.approx(2 / 3)
    assert found["prediction_set_size"] == 1.0


def test_the_truth_of_another_domain_is_refused() -> None:
    with pytest.raises(TypeError, match="str"):
        score("malignant", result(1))
