"""Scores of held-out scans and clips, and the figures over them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains.core import Classification

RECALL = "recall_{}"
"""The figure of one label."""
FEWEST_IN_SOURCE = 3
"""Of each label: an AUC over fewer cases says nothing."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a scan or clip is, and where it comes from."""

    label: int
    source: str


@dataclass(frozen=True, slots=True)
class Score:
    """One scan or clip: the mean over its frames of the probabilities, of abstaining and of the sets' sizes."""

    truth: Truth
    probabilities: NDArray[np.float64]
    answered: bool
    covered: float
    set_size: float


def score(truth: object, answers: Sequence[Classification]) -> Score:
    """One case's score from the answers to its frames; answered where most frames were. Raises TypeError for a truth
    of another domain.
    """
    if not isinstance(truth, Truth) or not answers:
        raise TypeError(f"a scan is scored with its truth and at least one answer, got {type(truth).__name__}")
    right = answers[0].labels[truth.label]
    return Score(
        truth=truth,
        probabilities=np.mean([answer.probabilities for answer in answers], axis=0),
        answered=float(np.mean([answer.abstention is None for answer in answers])) >= 0.5,
        covered=float(np.mean([right in answer.prediction_set for answer in answers])),
        set_size=float(np.mean([len(answer.prediction_set) for answer in answers])),
    )


def figures(scores: Sequence[object], labels: Sequence[str]) -> dict[str, float]:
    """Figures over cases, each in 0..1 but `prediction_set_size`; NaN where a label or source has no case.

    `auc`: the mean over labels of one against the rest; for two labels that of the second.
    """
    kept = [row for row in scores if isinstance(row, Score)]
    truth = np.array([row.truth.label for row in kept])
    shares = np.array([row.probabilities for row in kept])
    right = shares.argmax(axis=1) == truth
    answered = np.array([row.answered for row in kept])
    recalls = [_mean(right[truth == index]) for index in range(len(labels))]
    wanted = range(1, 2) if len(labels) == 2 else range(len(labels))
    found = {
        "balanced_accuracy": float(np.mean(recalls)),
        "accuracy": _mean(right),
        "auc": float(np.mean([auc(shares[:, index], truth == index) for index in wanted])),
        **{RECALL.format(label): recall for label, recall in zip(labels, recalls, strict=True)},
        "answered_share": _mean(answered),
        "answered_accuracy": _mean(right[answered]),
        "prediction_set_coverage": _mean(np.array([row.covered for row in kept])),
        "prediction_set_size": _mean(np.array([row.set_size for row in kept])),
    }
    return found | _within_sources(kept, shares, truth)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties as half; NaN without both."""
    above, below = scores[positive], scores[~positive]
    if not len(above) or not len(below):
        return float("nan")
    wins = (above[:, None] > below[None]).mean() + 0.5 * (above[:, None] == below[None]).mean()
    return float(wins)


def _within_sources(kept: Sequence[Score], shares: NDArray[np.float64], truth: NDArray[np.int64]) -> dict[str, float]:
    """AUC inside each source with enough of both of two labels: there the source itself gives nothing away."""
    sources = np.array([row.truth.source for row in kept])
    if shares.shape[1] != 2 or len(set(sources)) < 2:
        return {}
    found = {}
    for source in sorted(set(sources)):
        positive = truth[sources == source] == 1
        if min(positive.sum(), (~positive).sum()) >= FEWEST_IN_SOURCE:
            found[f"auc_within_source_{source}"] = auc(shares[sources == source, 1], positive)
    return found


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
