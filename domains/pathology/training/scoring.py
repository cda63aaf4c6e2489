"""Scores of held-out scans and clips, and the figures over them."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domains.core import Classification
from domains.core.reliability import Judged, area_under_risk_coverage, calibration_error
from domains.pathology.training.pointing import Pointing, point

RECALL = "recall_{}"
"""The figure of one label."""
FEWEST_IN_SOURCE = 3
"""Of each label: an AUC over fewer cases says nothing."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a scan or clip is, where it comes from, and the file of its lesion's mask, None where there is no lesion or
    nobody outlined it.
    """

    label: int
    source: str
    mask: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Judged):
    """One scan or clip: the mean over its frames of the probabilities and of the sets' sizes. Frames that were refused as
    foreign don't count, as in a verdict on a clip; where all were, `shares` knows nothing, and `covered` and `set_size` are NaN.
    """

    truth: Truth
    shares: NDArray[np.float64]
    refused: float
    """The share of the frames."""
    covered: float
    set_size: float
    pointing: Pointing | None


def score(truth: object, answers: Sequence[Classification], labels: Sequence[str]) -> Score:
    """One case's score from the answers to its frames; answered where most frames that count were. Raises TypeError for a
    truth of another domain.
    """
    if not isinstance(truth, Truth) or not answers:
        raise TypeError(f"a scan is scored with its truth and at least one answer, got {type(truth).__name__}")
    right = labels[truth.label]
    known = [answer for answer in answers if not answer.foreign]
    shares = np.mean([answer.probabilities for answer in known], axis=0) if known else np.full(len(labels), 1 / len(labels))
    return Score(
        true_label=right,
        said=labels[int(shares.argmax())] if known else "",
        probability=float(shares.max()) if known else 0.0,
        answered=_mean(np.array([answer.abstention is None for answer in known])) >= 0.5,
        truth=truth,
        shares=shares,
        refused=1 - len(known) / len(answers),
        covered=_mean(np.array([right in answer.prediction_set for answer in known])),
        set_size=_mean(np.array([float(len(answer.prediction_set)) for answer in known])),
        pointing=None if truth.mask is None else point(answers[0], truth.mask),
    )


def figures(scores: Sequence[object], labels: Sequence[str]) -> dict[str, float]:
    """Figures over cases, each in 0..1 but `prediction_set_size`; NaN where a label or source has no case.

    `auc`: the mean over labels of one against the rest; for two labels that of the second. A case that was refused has no right
    label, and is left out where probabilities or sets are judged. `ece`, `aurc`: see domains/core/reliability.py.
    """
    kept = [row for row in scores if isinstance(row, Score)]
    truth = np.array([row.truth.label for row in kept])
    shares = np.array([row.shares for row in kept])
    right = np.array([row.is_right for row in kept])
    answered = np.array([row.answered for row in kept])
    known = np.array([bool(row.said) for row in kept])
    sure = np.array([row.probability for row in kept])[known]
    recalls = [_mean(right[truth == index]) for index in range(len(labels))]
    wanted = range(1, 2) if len(labels) == 2 else range(len(labels))
    found = {
        "balanced_accuracy": float(np.mean(recalls)),
        "accuracy": _mean(right),
        "auc": float(np.mean([auc(shares[:, index], truth == index) for index in wanted])),
        **{RECALL.format(label): recall for label, recall in zip(labels, recalls, strict=True)},
        "answered_share": _mean(answered),
        "answered_accuracy": _mean(right[answered]),
        "prediction_set_coverage": _mean(np.array([row.covered for row in kept])[known]),
        "prediction_set_size": _mean(np.array([row.set_size for row in kept])[known]),
        "ece": calibration_error(sure, right[known]),
        "aurc": area_under_risk_coverage(sure, right[known]),
    }
    return found | pairs(shares, truth, labels) | _within_sources(kept, shares, truth) | _evidence(kept)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties as half; NaN without both."""
    above, below = scores[positive], scores[~positive]
    if not len(above) or not len(below):
        return float("nan")
    wins = (above[:, None] > below[None]).mean() + 0.5 * (above[:, None] == below[None]).mean()
    return float(wins)


def pairs(shares: NDArray[np.float64], truth: NDArray[np.int64], labels: Sequence[str]) -> dict[str, float]:
    """Of three labels or more, the AUC between each two by the ratio of their probabilities, cases of others left out."""
    if len(labels) < 3:
        return {}
    found = {}
    for first, second in combinations(range(len(labels)), 2):
        both = (truth == first) | (truth == second)
        ratio = shares[both, second] / np.maximum(shares[both, first] + shares[both, second], 1e-12)
        found[f"auc_{labels[first]}_{labels[second]}"] = auc(ratio, truth[both] == second)
    return found


def _evidence(kept: Sequence[Score]) -> dict[str, float]:
    """Where the evidence map lies on scans with an outlined lesion, and the same of maps that know nothing."""
    seen = [row.pointing for row in kept if row.pointing is not None]
    if not seen:
        return {}
    columns = np.mean([astuple(row) for row in seen], axis=0)
    names = ("evidence_in_lesion", "evidence_hits_lesion", "centre_in_lesion", "centre_hits_lesion", "lesion_area")
    return {name: float(value) for name, value in zip(names, columns, strict=True)}


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
