"""Scores of held-out digits, and the figures over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains.core import Classification
from domains.core.reliability import Judged, area_under_risk_coverage, calibration_error

RECALL = "recall_{}"
"""The figure of one digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Judged):
    """One digit. `set_size`: how many labels couldn't be ruled out."""

    covered: bool
    set_size: int


def score(truth: object, answer: Classification) -> Score:
    """Raises TypeError for a truth of another domain."""
    if not isinstance(truth, int):
        raise TypeError(f"a digit is scored with its index, got {type(truth).__name__}")
    right = answer.labels[truth]
    return Score(
        true_label=right, said=answer.label, probability=max(answer.probabilities),
        answered=answer.abstention is None, covered=right in answer.prediction_set, set_size=len(answer.prediction_set),
    )


def figures(scores: Sequence[object], labels: Sequence[str]) -> dict[str, float]:
    """Figures over digits, each in 0..1 but `prediction_set_size`; NaN where there is no case. `ece`, `aurc`: see
    domains/core/reliability.py.
    """
    kept = [row for row in scores if isinstance(row, Score)]
    truth = np.array([row.true_label for row in kept])
    right = np.array([row.is_right for row in kept])
    answered = np.array([row.answered for row in kept])
    sure = np.array([row.probability for row in kept])
    return {
        "accuracy": _mean(right),
        **{RECALL.format(label): _mean(right[truth == label]) for label in labels},
        "answered_share": _mean(answered),
        "answered_accuracy": _mean(right[answered]),
        "prediction_set_coverage": _mean(np.array([row.covered for row in kept])),
        "prediction_set_size": _mean(np.array([float(row.set_size) for row in kept])),
        "ece": calibration_error(sure, right),
        "aurc": area_under_risk_coverage(sure, right),
    }


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
