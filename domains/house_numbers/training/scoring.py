"""Scores of held-out digits, and the figures over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains.core import Classification

RECALL = "recall_{}"
"""The figure of one digit."""


@dataclass(frozen=True, slots=True)
class Score:
    """One digit. `label`: its index; `set_size`: how many labels couldn't be ruled out."""

    label: int
    right: bool
    answered: bool
    covered: bool
    set_size: int


def score(truth: object, answer: Classification) -> Score:
    """Raises TypeError for a truth of another domain."""
    if not isinstance(truth, int):
        raise TypeError(f"a digit is scored with its index, got {type(truth).__name__}")
    return Score(truth, answer.leading == truth, answer.abstention is None,
                 answer.labels[truth] in answer.prediction_set, len(answer.prediction_set))


def figures(scores: Sequence[object], labels: Sequence[str]) -> dict[str, float]:
    """Figures over digits, each in 0..1 but `prediction_set_size`; NaN where there is no case."""
    kept = [row for row in scores if isinstance(row, Score)]
    truth = np.array([row.label for row in kept])
    right = np.array([row.right for row in kept])
    answered = np.array([row.answered for row in kept])
    return {
        "accuracy": _mean(right),
        **{RECALL.format(label): _mean(right[truth == index]) for index, label in enumerate(labels)},
        "answered_share": _mean(answered),
        "answered_accuracy": _mean(right[answered]),
        "prediction_set_coverage": _mean(np.array([row.covered for row in kept])),
        "prediction_set_size": _mean(np.array([float(row.set_size) for row in kept])),
    }


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
