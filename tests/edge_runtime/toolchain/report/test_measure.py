"""Figures of a variant beside float32: intervals by group, changes by case."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from domains.core import InputSpec
from edge_runtime.toolchain.report.measure import compare
from edge_runtime.toolchain.report.sources import Answered, Say, Source


class Fixed(Source):
    """Cases of two classes; a score is the class, and whether it was recognised."""

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__("fixed", "Fixed", InputSpec(1, 1, 0.0, 1.0), {"float32": Path()}, data_sha256="", key="")
        self.class_figures = {"a": "recall_a", "b": "recall_b", "c": "recall_c"}
        self.groups = groups

    def answers(self, variant: str, say: Say) -> Sequence[Answered]:
        raise NotImplementedError(variant)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        pairs = [score for score in scores if isinstance(score, tuple)]
        found = {"accuracy": float(np.mean([right for _, right in pairs]))}
        for label, name in self.class_figures.items():
            of_class = [right for truth, right in pairs if truth == label]
            found[name] = float(np.mean(of_class)) if of_class else float("nan")
        return found


def answered(truth: str, right: Sequence[int]) -> list[Answered]:
    return [Answered((label, bool(hit)), np.array([hit])) for label, hit in zip(truth, right, strict=True)]


WHOLE = answered("aaaabbbb", [1, 1, 1, 1, 1, 0, 0, 0])
WORSE = answered("aaaabbbb", [1, 1, 1, 0, 1, 1, 0, 0])


def test_the_class_that_lost_most_is_the_worst_even_where_another_is_lower() -> None:
    found = compare(Fixed(list("01234567")), WORSE, WHOLE)
    assert found.main.value == 5 / 8
    assert found.change.value == 0.0
    assert {label: figure.change.value for label, figure in found.classes.items()} == {"a": -0.25, "b": 0.25}
    assert found.worst == "a"
    assert found.classes["a"].cases == 4
    assert found.agreement == 6 / 8


def test_cases_of_one_group_are_drawn_together() -> None:
    apart = compare(Fixed(list("01234567")), WORSE, WHOLE)
    together = compare(Fixed(["same"] * 8), WORSE, WHOLE)
    assert apart.main.low < 5 / 8 < apart.main.high
    assert (together.main.low, together.main.high) == (5 / 8, 5 / 8)


def test_a_variant_that_answers_alike_has_certainly_not_changed() -> None:
    found = compare(Fixed(list("01234567")), WHOLE, WHOLE)
    assert (found.change.low, found.change.value, found.change.high) == (0.0, 0.0, 0.0)
    assert found.main.high - found.main.low > 0.2


def test_a_class_without_a_case_is_left_out_and_a_figure_without_any_is_refused() -> None:
    assert "c" not in compare(Fixed(list("01234567")), WHOLE, WHOLE).classes
    source = Fixed(["1"])
    source.main_figure = "recall_b"
    with pytest.raises(ValueError, match="recall_b can't be computed over these 1 cases"):
        compare(source, answered("a", [1]), answered("a", [1]))
