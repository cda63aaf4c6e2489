"""What a model card tells of what was measured."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from domains.core.reliability import Judged
from domains.core.training import Recipe
from edge_runtime.toolchain import steps
from edge_runtime.toolchain.card import Pictures, render
from edge_runtime.toolchain.evaluate import calibration_of
from edge_runtime.toolchain.failures import MOST_BYTES, as_jpeg
from edge_runtime.toolchain.foreign_figures import Seen, gate_figures
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.steps import key_of
from tests.edge_runtime.toolchain.packaging import breast_data

RECIPE = recipes_of("pathology", "breast_ultrasound")[0]
NONE = Pictures()
COSTS = "## What int8 costs\n\nNothing."


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def measured(**more: Any) -> dict[str, Any]:
    figures = {"accuracy": figure(0.8), "prediction_set_coverage": figure(0.85), "answered_share": figure(0.7)}
    return {"cases": 12, "groups": 9, "figures": figures, **more}


def card(rows: Mapping[str, Any], pictures: Pictures = NONE, recipe: Recipe = RECIPE) -> str:
    return render(recipe.identity, recipe.card, {}, {"temperature": 1.5}, rows, "2 epochs.", COSTS, pictures)


def judged(probability: float, said: str = "benign") -> Judged:
    return Judged(true_label="benign", said=said, probability=probability, answered=True)


def test_calibration_is_told_beside_what_chance_gives_and_what_the_sets_promise() -> None:
    rows = [judged(0.9)] * 8 + [judged(0.6, "malignant")] * 4
    found = calibration_of(rows, {"temperature": 1.5, "coverage": 0.9, "abstain_below": 0.62, "exam": "x"})
    assert "exam" not in found
    assert [(row["cases"], row["accuracy"]) for row in found["bins"]] == [(4, 0.0), (8, 1.0)]
    assert found["curve"][-1] == {"answered": 1.0, "accuracy": 0.6667}
    assert found["curve"][0]["accuracy"] == 1.0
    text = card({"int8": measured(calibration=found)}, Pictures(plot=True))
    assert "![Reliability, and accuracy against the share answered](calibration.png)" in text
    assert f"on average int8 {found['ece_by_chance']:.3f}" in text
    assert "hold the truth in 90 % of cases" in text
    assert "held out they do in int8 0.850 (0.750 to 0.950)" in text
    assert "Below a probability of 0.62 the question is left open. The rule: on the risk-coverage curve" in text
    assert "No question is left open. The rule" in card({"int8": measured(calibration={**found, "abstain_below": 0.0})})
    assert "calibration.png" not in card({"int8": measured(calibration=found)}), "it wasn't drawn"


def test_every_kind_of_foreign_picture_has_a_row_with_a_star_where_the_gate_never_saw_it() -> None:
    own = [Seen("a", 1.0, refused=False), Seen("b", 1.2, refused=False)]
    gates = gate_figures(own, {kind: [Seen("x", 9.0, refused=True)] for kind in ("noise", "everyday")})
    text = card({"int8": measured(gate=gates), "float32": measured(gate=gates)})
    assert "| noise | 1 | 1.000 (1.000 to 1.000) |" in text
    assert "| everyday * | 1 |" in text
    assert "it refuses int8 0.000 (0.000 to 0.000), float32" in text
    assert "Pictures that it was not made for" not in card({"int8": measured()}), "a model without a gate"


def test_evidence_stands_beside_what_a_map_that_knows_nothing_gets() -> None:
    rows = measured()
    rows["figures"] |= {name: figure(value) for name, value in {
        "evidence_in_lesion": 0.5, "evidence_hits_lesion": 0.7, "centre_in_lesion": 0.2, "centre_hits_lesion": 0.3,
        "lesion_area": 0.15}.items()}
    text = card({"int8": rows})
    assert "| the evidence map | 0.500 (0.400 to 0.600) | 0.700 (0.600 to 0.800) |" in text
    assert "| a blob at the centre of the picture | 0.200" in text
    assert "| lesion_area |" not in text, "it has its own section"


def test_failures_are_shown_with_credits_or_it_is_told_how_to_draw_them() -> None:
    shown = card({"int8": measured()}, Pictures(failures=("Somebody, CC BY 4.0",)))
    assert "(failures.jpg)" in shown
    assert "Somebody, CC BY 4.0" in shown
    assert "benchmarks/contact_sheets.py" in card({"int8": measured()})


def test_figures_across_sources_have_a_section_where_they_were_measured() -> None:
    recipe: Any = RECIPE
    elsewhere = replace(recipe, card=replace(RECIPE.card, across_sources="AUC 0.63 with whole sources left out."))
    assert "## Across sources\n\nAUC 0.63" in card({"int8": measured()}, recipe=elsewhere)


def test_a_sheet_that_lies_in_a_package_is_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3)).astype(np.uint8)
    assert len(as_jpeg(noise)) < len(as_jpeg(noise, 10**9))
    assert len(as_jpeg(np.full((700, 700, 3), 90, np.uint8))) <= MOST_BYTES


def test_to_edit_a_sentence_of_a_card_is_to_measure_nothing_anew(tmp_path: Path) -> None:
    data = breast_data(tmp_path)
    before = key_of(RECIPE, data, {})
    recipe: Any = RECIPE
    other_words = replace(recipe, identity=replace(RECIPE.identity, title="Another title"), card=replace(RECIPE.card, limits="None."))
    assert key_of(other_words, data, {}) == before
    assert key_of(replace(recipe, identity=replace(RECIPE.identity, labels=("a", "b", "c"))), data, {}) != before
    words = tmp_path / "cards.py"
    parts = []
    for text in ('TEXT = "A sentence."\nMOST = 3\n', 'TEXT = "Another " "sentence."\nMOST = 3\n', 'TEXT = "A sentence."\nMOST = 4\n'):
        words.write_text(text)
        parts.append(steps.without_words(words))
    assert parts[0] == parts[1] != parts[2]
