"""What may be released: int8 against float, overall and class by class."""

from pathlib import Path

import pytest

from edge_runtime.models import read_manifest
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.release_gate import (
    GateRefused,
    Losses,
    losses_in,
    losses_of,
    refuse_unless_explained,
    stated,
)
from tests.edge_runtime.toolchain.packaging import SHIPPED

RECIPE = recipes_of("pathology", "lung_ultrasound")[0]


def losses(main: tuple[float, float], **classes: tuple[float, float]) -> Losses:
    return Losses("accuracy", *main, classes)


@pytest.mark.parametrize("allowed", [
    losses((0.9, 0.9)),
    losses((0.90, 0.89), a=(0.80, 0.77), b=(0.1, 0.9)),
    losses((0.8298, 0.8198), a=(0.1 + 0.2, 0.27)),
    losses((0.5, 0.9), a=(0.0, 1.0)),
])
def test_up_to_one_point_of_the_main_figure_and_three_of_a_class_may_be_lost(allowed: Losses) -> None:
    refuse_unless_explained(allowed, "")
    assert "Within the release gate's limits (1 point of the main figure, 3 of any class)." in stated(allowed, "")


@pytest.mark.parametrize(("found", "told"), [
    (losses((0.9, 0.8899)), "accuracy -1.01 points (0.9000 to 0.8899, 1 point allowed)"),
    (losses((0.9, 0.95), rare=(0.5, 0.4699), common=(0.9, 0.99)), "class rare -3.01 points (0.5000 to 0.4699, 3 points allowed)"),
])
def test_more_is_refused_with_the_figure_and_what_to_try(found: Losses, told: str) -> None:
    with pytest.raises(GateRefused) as refused:
        refuse_unless_explained(found, " \n")
    text = str(refused.value)
    assert told in text
    assert "Nothing was written" in text
    assert "--only qat_int8" in text
    assert "common" not in text
    assert "\n" not in text


def test_every_figure_over_its_limit_is_told() -> None:
    found = losses((0.9, 0.8), a=(0.9, 0.8), b=(0.9, 0.7), c=(0.9, 0.89))
    with pytest.raises(GateRefused, match=r"accuracy -10\.00 points.*class a -10\.00 points.*class b -20\.00 points"):
        refuse_unless_explained(found, "")


def test_a_reason_in_the_card_lets_it_through_and_stands_beside_the_figures() -> None:
    found = losses((0.9, 0.8), a=(0.9, 0.95))
    refuse_unless_explained(found, "Weeds are rare.")
    text = stated(found, "Weeds are rare.")
    assert text.startswith("## What int8 costs\n")
    assert "| accuracy | 0.9000 | 0.8000 | -10.00 |" in text
    assert "| class a | 0.9000 | 0.9500 | +5.00 |" in text
    assert text.endswith("Over the release gate's limits (1 point of the main figure, 3 of any class): accuracy. Weeds are rare.")


def test_no_reason_lets_a_broken_file_through() -> None:
    refuse_unless_explained(losses((0.9, 0.8), a=(0.9, 0.6)), "Weeds are rare.")
    for broken in (losses((0.9, 0.79)), losses((0.9, 0.9), a=(0.9, 0.59))):
        with pytest.raises(GateRefused):
            refuse_unless_explained(broken, "Weeds are rare.")


def figures(**values: float) -> dict[str, dict[str, float]]:
    return {name: {"value": value} for name, value in values.items()}


def test_a_class_without_a_held_out_case_is_left_out_and_one_measured_once_is_a_fault() -> None:
    whole = figures(balanced_accuracy=0.9, recall_normal=0.9)
    assert losses_of(RECIPE, {"float32": whole, "int8": whole}).classes == {"normal": (0.9, 0.9)}
    with pytest.raises(ValueError, match="'recall_abnormal' of class 'abnormal' was measured for one"):
        losses_of(RECIPE, {"float32": whole | figures(recall_abnormal=1.0), "int8": whole})


def test_nothing_is_let_through_without_its_main_figure() -> None:
    with pytest.raises(ValueError, match="main figure 'balanced_accuracy' was not measured"):
        losses_of(RECIPE, {"float32": figures(balanced_accuracy=0.9), "int8": figures(accuracy=0.9)})
    with pytest.raises(ValueError, match="main figure"):
        losses_of(RECIPE, {})


@pytest.mark.parametrize("package", SHIPPED, ids=lambda package: package.name)
def test_the_shipped_packages_are_within_the_limits_or_say_why_not(package: Path) -> None:
    manifest = read_manifest(package)
    recipe = recipes_of(manifest.domain, manifest.name)[0]
    found = losses_in(recipe, manifest)
    assert set(found.classes) == set(manifest.labels)
    refuse_unless_explained(found, recipe.card.int8_loss)
    assert stated(found, recipe.card.int8_loss) in (package / "MODEL_CARD.md").read_text()
