"""What the toolchain writes is what the runtime reads."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from domains.core.spec import InputSpec
from domains.core.training import Identity, part_of
from edge_runtime.models import TensorInfo, VariantInfo, load_package, sha256_of
from edge_runtime.toolchain.card import Pictures, render
from edge_runtime.toolchain.manifest import to_toml, write_package
from edge_runtime.toolchain.recipes import recipes_of
from tests.edge_runtime.tiny_package import write_known_answer

IDENTITY = Identity("tiny", "1.2.3", "crop_weed", "segmentation", 'A "tiny" model', ("soil", "crop"), "Tests.", "CC0",
                    "CC0", InputSpec(8, 8, 127.0, 128.0))


@pytest.mark.parametrize("table", [
    {"a": 1, "b": 2.5, "c": True, "d": "x"},
    {"text": 'quotes " and \\ and\nlines and \x7f and ü and \u2028'},
    {"list": ["a", "b"], "numbers": [1, 2.0], "none": []},
    {"outer": {"inner": {"deep": 1}, "plain": 2}, "empty": {}, "key with blanks": {"1.5": "x"}},
    {"small": 1e-7, "large": 1e22, "negative": -0.5},
])
def test_any_manifest_table_comes_back_as_it_was(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_what_toml_has_no_form_for_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        to_toml({"a": None})


def test_a_written_package_is_accepted_by_the_loader(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "int8.tflite").write_bytes(b"weights")
    tensor = TensorInfo("int8", (1, 8, 8, 3), 1 / 128, -1)
    variant = VariantInfo("int8.tflite", sha256_of(folder / "int8.tflite"), 7, tensor, {"logits": tensor})
    known = write_known_answer(folder, 8, {"int8.logits": np.ones((1, 8, 8, 3), np.int8)}, tolerance=9)
    write_package(folder, IDENTITY, {"int8": variant}, known, {"speck_px": 3, "dicom": {"modality": "US"}},
                  {"int8": {"miou": {"value": 0.5, "low": 0.4, "high": 0.6}}}, "# card")
    package = load_package(folder)
    assert package.spec.title == IDENTITY.title
    assert package.spec.options == {"speck_px": 3, "dicom": {"modality": "US"}}
    assert package.manifest.variants["int8"] == variant
    assert package.manifest.known_answer == known
    assert package.known_answer.of("int8", "logits").sum() == 8 * 8 * 3
    assert package.path_of("int8").read_bytes() == b"weights"


@pytest.mark.parametrize("domain", ["pathology", "crop_weed"])
def test_a_model_card_states_data_figures_limits_licence_and_research_use(domain: str) -> None:
    recipe = recipes_of(domain)[0]
    tensor = TensorInfo("int8", (1, 8, 8, 3), 1 / 128, -1)
    measured = {"int8": {"cases": 12, "groups": 9, "figures": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}}}
    text = render(recipe.identity, recipe.card, {"int8": VariantInfo("int8.tflite", "0", 1, tensor, {})},
                  {"temperature": 1.5}, measured, "2 epochs.", "## What int8 costs\n\nNothing.", Pictures())
    assert "0.500 (0.400 to 0.600)" in text
    assert "12 cases in 9 groups" in text
    assert "Research" in text
    for section in ("## Data", "## Held-out figures", "## What int8 costs", "## Known limits", "## Licence and attribution"):
        assert section in text


def test_a_recipe_that_is_not_there_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="breast_ultrasound, lung_ultrasound"):
        recipes_of("pathology", "knee")


def test_calibration_takes_about_the_promised_share_of_the_training_groups_and_none_of_val() -> None:
    parts = [part_of("train", f"group {number}") for number in range(2000)]
    assert parts.count("calibration") / 2000 == pytest.approx(0.15, abs=0.03)
    assert {part_of("val", f"group {number}") for number in range(50)} == {"val"}
