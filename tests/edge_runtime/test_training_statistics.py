"""Training statistics: how numbers become bins, and what a package's manifest may say of them."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domains import registry
from edge_runtime.errors import PackageError
from edge_runtime.folders import MANIFEST, find_packages
from edge_runtime.models import load_package
from edge_runtime.training_statistics import Choices, Histogram, choices, counted, histogram, observe

PACKAGES = list(find_packages(map(registry.models_folder, registry.names())))


def ones(values: list[float]) -> list[tuple[float, float]]:
    """Values that count once."""
    return [(value, 1.0) for value in values]


def test_bins_hold_about_as_many_cases_each() -> None:
    found = histogram(ones([number**2 / 1e5 for number in range(300)]), 300)
    assert found.cases == 300
    assert len(found.shares) == 10
    assert all(share == pytest.approx(0.1, abs=0.01) for share in found.shares)


@pytest.mark.parametrize(("cases", "bins"), [(300, 10), (100, 10), (54, 5), (28, 3), (9, 3)])
def test_few_cases_make_few_bins(cases: int, bins: int) -> None:
    assert len(histogram(ones([number / cases for number in range(cases)]), cases).shares) == bins


def test_the_frames_of_a_long_clip_weigh_no_more_than_one_still() -> None:
    clip = [(0.9, 1 / 12)] * 12
    found = histogram([*clip, *ones([number / 100 for number in range(39)])], 40)
    assert found.shares[-1] == pytest.approx(0.25, abs=0.03)


def test_a_value_on_an_edge_belongs_to_the_bin_above() -> None:
    assert counted(ones([0.1, 0.19, 0.2, 0.3]), (0.2, 0.3)) == [2, 1, 1]


def test_a_number_that_is_nearly_always_the_same_keeps_a_bin_for_the_rest() -> None:
    found = histogram(ones([0.0] * 95 + [0.2] * 5), 100)
    assert (found.edges, found.shares) == ((0.2,), (0.95, 0.05))
    assert histogram(ones([0.5] * 40), 40).shares == (1.0,)


def test_choices_that_were_never_made_have_a_share_too() -> None:
    assert choices([("no", 1.0), ("no", 0.5)], ("no", "yes"), 2) == Choices(2, {"no": 1.0, "yes": 0.0})


@pytest.mark.parametrize("answered", [
    {"kind": "classification", "label": "", "probability": 0.0},
    {"kind": "segmentation", "classes": [{"label": "soil", "area_fraction": 1.0}]},
], ids=lambda answered: answered["kind"])
def test_foreign_pictures_drift_as_refusals_and_not_as_sure_or_empty_answers(answered: dict[str, Any]) -> None:
    document = answered | {"abstained": True, "abstention": {"code": "foreign", "reason": "?"}}
    found = observe(document, {"brightness": 0.5, "unfamiliarity": 9.5})
    assert (found.inputs, found.outputs, found.choices) == ({"brightness": 0.5}, {"unfamiliarity": 9.5}, {"abstained": "yes"})


def test_an_answer_is_observed_as_far_as_it_is_known() -> None:
    document = {"kind": "classification", "label": "normal", "probability": 0.75, "abstained": True}
    found = observe(document, {"brightness": 0.5, "thumbnail": "AAAA", "evidence_spread": 2.5})
    assert dict(found.inputs) == {"brightness": 0.5}
    assert dict(found.outputs) == {"evidence_spread": 2.5, "probability": 0.75}
    assert dict(found.choices) == {"abstained": "yes", "label": "normal"}
    field = observe({"kind": "segmentation", "abstained": False, "classes": [{"label": "weed", "area_fraction": 0.1}]}, {})
    assert (dict(field.inputs), dict(field.outputs), dict(field.choices)) == ({}, {"area_weed": 0.1}, {"abstained": "no"})


@pytest.mark.parametrize(("text", "said"), [
    ("{cases = 3, edges = [0.1], shares = [0.2, 0.3, 0.5]}", "1 edges make 2 bins, got 3 shares"),
    ("{cases = 3, edges = [0.2, 0.1], shares = [0.2, 0.3, 0.5]}", "ascending"),
    ("{cases = 3, edges = [inf], shares = [0.5, 0.5]}", "finite"),
    ("{cases = 3, edges = [0.1], shares = [0.5, 0.6]}", "add up to 1"),
    ("{cases = 3, edges = [0.1], shares = [1.5, -0.5]}", "lie in"),
    ("{cases = 0, edges = [0.1], shares = [0.5, 0.5]}", "1 case or more"),
    ("{cases = 3, edges = [0.1], shares = [0.5, 0.5], extra = 1}", "extra"),
    ('{cases = "3", edges = [0.1], shares = [0.5, 0.5]}', "cases"),
])
def test_a_histogram_that_is_none_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(tomllib.loads(f"it = {text}")["it"], Histogram)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_every_shipped_package_says_what_it_saw_and_said_in_training(folder: Path) -> None:
    manifest = load_package(folder).manifest
    found = manifest.statistics
    assert found is not None
    assert {"brightness", "contrast", "sharpness"} == set(found.inputs)
    assert set(found.choices["abstained"].shares) == {"no", "yes"}
    if manifest.task == "classification":
        assert set(found.choices["label"].shares) == set(manifest.labels)
        assert "probability" in found.outputs
    else:
        assert set(found.outputs) == {"unfamiliarity", *(f"area_{label}" for label in manifest.labels)}


@pytest.mark.parametrize(("old", "new", "said"), [
    ("[statistics.choices.label.shares]\nnormal =", "[statistics.choices.label.shares]\ncyst =", "cyst, normal"),
    ("[statistics.outputs.probability]", "[statistics.outputs.area_soil]", "area_soil: the labels are"),
    ("[statistics.inputs.brightness]\ncases = ", "[statistics.inputs.brightness]\ncases = -", "1 case or more"),
    ('[statistics]\nvariant = "int8"', "[statistics]\nvariant = 8", r"statistics\.variant"),
])
def test_a_package_with_statistics_of_something_else_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    folder = Path(shutil.copytree(registry.models_folder("pathology") / "lung_ultrasound", tmp_path / "lung_ultrasound"))
    text = (folder / MANIFEST).read_text()
    assert old in text
    (folder / MANIFEST).write_text(text.replace(old, new, 1))
    with pytest.raises(PackageError, match=said):
        load_package(folder)


def test_a_package_from_before_there_were_statistics_is_served(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(registry.models_folder("pathology") / "lung_ultrasound", tmp_path / "lung_ultrasound"))
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text[: text.index("[statistics]")])
    assert load_package(folder).manifest.statistics is None
