"""Confidence intervals by resampling: the percentile bootstrap over groups (Efron and Tibshirani, 1993)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

ROUNDS = 1000
CONFIDENCE = 0.95

Figures = Mapping[str, float]


def with_intervals(scores: Sequence[Any], groups: Sequence[str], figures: Callable[[Sequence[Any]], Figures],
                   *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, dict[str, float]]:
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
        column = column[~np.isnan(column)]
        if not np.isnan(value) and column.size:
            low, high = np.quantile(column, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            found[name] = {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return found
