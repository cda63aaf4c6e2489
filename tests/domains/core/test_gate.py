"""What tells a foreign picture, with the numbers of no network."""

import msgspec
import numpy as np
import pytest

from domains.core import Box, Classification, InputSpec, ModelSpec, Segmentation
from domains.core.gate import Gate, check_gate, refusal, unfamiliarity
from domains.core.results import Abstention

GATE = Gate(foreign_from=1.5, world="breast ultrasound")
REFUSED = Abstention("foreign", "not that")


def outputs(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"familiarity": np.array(rows, np.float32)}


def test_a_picture_like_those_of_training_has_an_unfamiliarity_of_about_one() -> None:
    whitened = np.random.default_rng(3).standard_normal((1, 4000)).astype(np.float32)
    assert unfamiliarity({"familiarity": whitened}) == pytest.approx(1.0, abs=0.05)


def test_a_picture_far_from_them_in_one_direction_alone_is_unfamiliar() -> None:
    assert unfamiliarity(outputs([0.0, 0.0, 0.0, 4.0])) == 4.0


def test_one_strange_tile_of_a_photo_does_not_make_it_foreign() -> None:
    assert unfamiliarity(outputs([1.0, 1.0], [1.0, -1.0], [9.0, 9.0])) == 1.0


@pytest.mark.parametrize(("value", "refused"), [(1.4999, False), (1.5, True), (40.0, True), (float("nan"), True)])
def test_a_picture_is_refused_from_the_gates_threshold_on_and_told_what_it_is_not(value: float, refused: bool) -> None:
    found = refusal(value, GATE)
    assert (found is not None) == refused
    if found is not None:
        assert found.code == "foreign"
        assert "does not look like a breast ultrasound" in found.reason


@pytest.mark.parametrize("table", [{"foreign_from": 0.0, "world": "x"}, {"foreign_from": 1.0, "world": ""}, {"foreign_from": 1.0},
                                   {"foreign_from": 1.0, "world": "x", "from": 2}], ids=str)
def test_a_gate_that_means_nothing_is_not_taken_in(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Gate)


def test_a_gate_without_what_it_looks_at_is_refused_by_name() -> None:
    def model(*names: str) -> ModelSpec:
        return ModelSpec("m", "1", "pathology", "M", ("a", "b"), InputSpec(8, 8, 0.0, 1.0), outputs=frozenset(names))

    check_gate(GATE, model("logits", "familiarity"))
    check_gate(None, model("logits"))
    with pytest.raises(ValueError, match=r"gate: every variant needs the output 'familiarity'"):
        check_gate(GATE, model("logits", "activation"))


@pytest.mark.parametrize("said", [
    {"probabilities": (0.5, 0.5)}, {"prediction_set": ("a",)}, {"coverage": 0.9}, {"heatmap": np.zeros((2, 2), np.float32)},
], ids=lambda said: next(iter(said)))
def test_nothing_can_be_said_of_a_foreign_picture(said: dict[str, object]) -> None:
    fields: dict[str, object] = {"labels": ("a", "b"), "probabilities": (), "region": Box(0, 0, 4, 4), "abstention": REFUSED}
    assert Classification(**fields).label == ""  # type: ignore[arg-type]  # any field
    with pytest.raises(ValueError, match="nothing is said of a foreign picture"):
        Classification(**fields | said)  # type: ignore[arg-type]  # any field


def test_only_a_foreign_picture_goes_without_probabilities() -> None:
    with pytest.raises(ValueError, match="2 labels but 0 probabilities"):
        Classification(("a", "b"), (), Box(0, 0, 4, 4), abstention=Abstention("low_confidence", "unsure"))


def test_nothing_grows_on_a_foreign_photo() -> None:
    with pytest.raises(ValueError, match="an empty class map"):
        Segmentation(("soil", "crop"), np.ones((2, 2), np.uint8), abstention=REFUSED)
