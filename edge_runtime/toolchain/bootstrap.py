"""Confidence intervals by resampling: the percentile bootstrap over groups (Efron and Tibshirani, 1993)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
CONFIDENCE = 0.95

Figures = Mapping[str, float]
Interval = dict[str, float]
"""`value`, and the `low` and `high` ends of its 95 % interval, to 4 digits."""


def with_intervals(scores: Sequence[Any], groups: Sequence[str], figures: Callable[[Sequence[Any]], Figures],
                   *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Interval]:
    """Each figure's `value` over all scores, and the `low` and `high` ends of its 95 % interval.

    Whole groups (patients, spots in a field) are drawn with replacement, because cases of one group are alike. A figure
    that is NaN in a resample is left out of that round; one that is NaN over all scores is left out of the answer.
    """
    if len(scores) != len(groups) or not scores:
        raise ValueError(f"{len(scores)} scores but {len(groups)} groups")
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    indices = list(members.values())
    random = np.random.default_rng(seed)
    drawn = [figures([scores[i] for chosen in random.integers(len(indices), size=len(indices)) for i in indices[chosen]])
             for _ in range(rounds)]
    found = {}
    for name, value in figures(scores).items():
        column = np.array([row.get(name, np.nan) for row in drawn])
        if not np.isnan(value) and not np.isnan(column).all():
            found[name] = interval(value, column)
    return found


def interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    """`value` with the interval of what the rounds gave; rounds that gave NaN are left out."""
    low, high = np.quantile(drawn[~np.isnan(drawn)], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def draws(groups: Sequence[str], *, rounds: int = ROUNDS, seed: int = 0) -> NDArray[np.float64]:
    """How often each case is drawn in each round, (rounds, cases), where whole groups are drawn with replacement."""
    names, places = np.unique(np.array(groups), return_inverse=True)
    chosen = np.random.default_rng(seed).integers(len(names), size=(rounds, len(names)))
    counts = np.stack([np.bincount(row, minlength=len(names)) for row in chosen])
    return counts[:, places].astype(np.float64)
