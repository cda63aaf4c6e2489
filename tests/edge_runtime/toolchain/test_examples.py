"""Which cases are shown as failures, and what stands below them."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from domains.core import Segmentation
from domains.core.training import Case
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.examples import Example, examples, tile_of, worst
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.sheet import BAD, GOOD
from tests.edge_runtime.toolchain.packaging import BREAST, breast_data


def test_the_surest_wrong_answers_come_first_and_right_ones_are_no_failures(tmp_path: Path) -> None:
    (recipe,) = recipes_of("pathology", "breast_ultrasound")
    models = {"breast_ultrasound": LoadedModel(load_package(BREAST), load_backend("litert"), variant="int8")}
    found = examples(recipe, recipe.cases(breast_data(tmp_path)), models, lambda _: None)
    assert [example.worth for example in found] == sorted(example.worth for example in found)
    failures = worst(found, 12)
    assert 1 <= len(failures) <= 2, "three scans of one picture with three labels"
    assert all(example.worth < 0 for example in failures)
    bad, good = tile_of(recipe, failures[0]), tile_of(recipe, found[-1])
    assert (bad.bar, good.bar) == (BAD, GOOD)
    assert bad.lines[0].startswith("was ")
    assert "said benign" in good.lines[0]
    assert bad.lines[-1] == failures[0].case.file.name
    assert [picture.shape for picture in bad.pictures] == [failures[0].pixels.shape] * 2


class Photos:
    """Of a recipe what a photo's tile needs."""

    main_figure = "mean_iou"


def photo(worth: float) -> Example:
    pixels = np.zeros((8, 8, 3), np.uint8)
    return Example(Case(Path("a.jpg"), "a", None), pixels, Segmentation(("soil", "crop"), np.zeros((8, 8), np.uint8)), None, worth)


def test_a_photo_has_its_own_main_figure_below_it_and_none_where_it_has_none() -> None:
    recipe: Any = Photos()
    assert tile_of(recipe, photo(0.714)).lines == ("mean iou 0.71", "a.jpg")
    assert tile_of(recipe, photo(math.inf)).lines == ("a.jpg",)
    assert worst([photo(0.2), photo(0.7)], 1)[0].worth == 0.2, "no photo is wrong as a whole, the worst are shown"
