"""Whether probabilities can be taken at their word: calibration error, reliability bins, and what is gained by leaving open
what is unsure. Pure numpy; used by the domains' scores and by the model cards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Of equal width in the probability, as is usual (Guo et al., 2017)."""
_ROUNDS = 1000

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A case whose answer is one label. `said`: the leading label, "" where the picture was refused as foreign;
    `probability`: of what was said; `answered`: whether the program stands by it.
    """

    true_label: str
    said: str
    probability: float
    answered: bool

    @property
    def is_right(self) -> bool:
        """Whether the leading label is the true one."""
        return self.said == self.true_label


@dataclass(frozen=True, slots=True)
class Bin:
    """The cases whose probability lies in `low`..`high`: how many, their mean probability, and the share that is right."""

    low: float
    high: float
    cases: int
    probability: float
    accuracy: float


def reliability_bins(probabilities: Numbers, right: Flags, bins: int = BINS) -> list[Bin]:
    """Every bin that holds a case. `probabilities` (n,) in 0..1 of the leading labels, `right` (n,)."""
    places = np.clip((probabilities * bins).astype(np.intp), 0, bins - 1)
    return [
        Bin(place / bins, (place + 1) / bins, int(inside.sum()), float(probabilities[inside].mean()), float(right[inside].mean()))
        for place in np.unique(places) for inside in [places == place]
    ]


def calibration_error(probabilities: Numbers, right: Flags, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal width (Naeini et al., 2015), in 0..1; NaN without a case.

    Of few cases it isn't 0 even where every probability is true: see `error_by_chance`.
    """
    if not len(probabilities):
        return float("nan")
    places = np.clip((probabilities * bins).astype(np.intp), 0, bins - 1)
    gaps = np.bincount(places, probabilities - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(probabilities))


def error_by_chance(probabilities: Numbers, bins: int = BINS, seed: int = 0) -> float:
    """The mean calibration error of so many cases if each were right exactly with its probability; NaN without a case."""
    random = np.random.default_rng(seed)
    drawn = random.random((_ROUNDS, len(probabilities))) < probabilities
    return float(np.mean([calibration_error(probabilities, right, bins) for right in drawn]))


def risk_coverage(probabilities: Numbers, right: Flags) -> tuple[Numbers, Numbers]:
    """`(coverage, risk)`, both (n,): the share of cases that are answered, surest first, and the share of wrong ones among
    them (El-Yaniv and Wiener, 2010). Cases of the same probability count as their mean, whatever their order.
    """
    values, places = np.unique(-probabilities, return_inverse=True)
    counts = np.bincount(places, minlength=len(values))
    wrong = np.bincount(places, ~right, minlength=len(values)) / np.maximum(counts, 1)
    ranks = np.arange(1, len(probabilities) + 1, dtype=np.float64)
    return ranks / len(probabilities), np.cumsum(np.repeat(wrong, counts)) / ranks


def area_under_risk_coverage(probabilities: Numbers, right: Flags) -> float:
    """The mean risk over all coverages (AURC; Geifman et al., 2019): less is better; NaN without a case."""
    return float(risk_coverage(probabilities, right)[1].mean()) if len(probabilities) else float("nan")
