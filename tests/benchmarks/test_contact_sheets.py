"""Contact sheets are drawn from what the installed models answer, and pass nothing on that may not be."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.contact_sheets import SHAREABLE_KINDS, WIDTH, in_turns, sheets, told_apart
from domains.core import Box, Instance, Segmentation
from domains.core.reliability import Judged
from domains.core.training import Case
from domains.foreign import kinds
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.examples import Example
from edge_runtime.toolchain.recipes import recipes_of
from tests.edge_runtime.toolchain.packaging import BREAST, breast_data


@pytest.fixture(scope="module")
def models() -> dict[str, LoadedModel]:
    return {"breast_ultrasound": LoadedModel(load_package(BREAST), load_backend("litert"), variant="int8")}


def test_a_model_has_a_sheet_of_wrong_right_and_foreign_pictures(tmp_path: Path, models: dict[str, LoadedModel]) -> None:
    (recipe,) = recipes_of("pathology", "breast_ultrasound")
    found = dict(sheets(recipe, breast_data(tmp_path), models, 2, shareable=False))
    assert list(found) == ["wrong", "right", "foreign"]
    assert {sheet.shape[1] for sheet in found.values()} == {WIDTH}


def test_scans_without_a_licence_are_on_no_sheet_that_is_passed_on(tmp_path: Path, models: dict[str, LoadedModel]) -> None:
    (recipe,) = recipes_of("pathology", "breast_ultrasound")
    assert list(dict(sheets(recipe, breast_data(tmp_path), models, 1, shareable=True))) == ["foreign"]
    assert not {"breast_ultrasound", "lung_ultrasound", "skin_photo", "house_number", "near_infrared_field"} & set(SHAREABLE_KINDS)


def test_every_kind_that_may_be_shared_is_a_kind(tmp_path: Path) -> None:
    missing: list[str] = []
    there = kinds(tmp_path, "val", most=1, lacking=missing.append)
    assert set(SHAREABLE_KINDS) <= {*there, *missing}


def test_right_answers_are_shown_of_every_label() -> None:
    def example(label: str, worth: float) -> Example:
        score = Judged(true_label=label, said=label, probability=worth, answered=True)
        empty = Segmentation(("soil",), np.zeros((1, 1), np.uint8))
        return Example(Case(Path(label), label, None), np.zeros((1, 1, 3), np.uint8), empty, score, worth)

    shown = in_turns([example("a", 0.99), example("a", 0.98), example("b", 0.7)])
    assert [(one.case.group, one.worth) for one in shown] == [("a", 0.99), ("b", 0.7), ("a", 0.98)]


def test_plants_that_touch_have_two_colours() -> None:
    mask = np.ones((10, 10), np.bool_)
    plants = tuple(Instance("crop", 0.9, Box(left, 0, 10, 10), mask, (left + 5.0, 5.0)) for left in (0, 10))
    result = Segmentation(("soil", "crop"), np.ones((10, 20), np.uint8), plants)
    tile = told_apart(Example(Case(Path("a.jpg"), "a", None), np.zeros((10, 20, 3), np.uint8), result, None, 0.5))
    drawn = tile.pictures[1]
    assert tuple(drawn[0, 0]) != tuple(drawn[0, 19])
    assert tile.lines == ("2 crop; a.jpg",)
