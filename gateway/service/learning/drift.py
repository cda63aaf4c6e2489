"""Whether what a model sees and says is still what it saw and said where it was made. Pure, and free of numpy.

Each measure is a number or a choice, and has a histogram from the training data (edge_runtime/training_statistics.py) and one
of stored answers. Of the two are worked out:

* **PSI**, the population stability index: the sum over bins of (found - expected) * ln(found / expected), of shares. Half a
  case is added to each bin on both sides, so that an empty one isn't infinitely far.
* **p**, of Pearson's chi-squared test for two samples of counts (Press et al., Numerical Recipes, "Are two distributions
  different?"): how often such a difference comes by chance alone.

**The rule.** The usual bands of PSI (Siddiqi, Credit Risk Scorecards, 2006: below 0.1 no change, 0.1 to 0.25 some, above 0.25
a lot) are for thousands of cases. Without any drift PSI is (bins - 1) * (1/n + 1/m) on average (Yurdakul and Naranjo,
Journal of Risk Model Validation 14(4), 2020): 0.2 for 50 answers, 300 training cases and 10 bins. So

1. too_few: fewer answers than FEWEST_A_BIN for each bin, or than FEWEST. Nothing is said.
2. stable: PSI less what chance gives is below MODERATE, or p is not below FALSE_ALARMS shared out over the measures.
3. moderate: it is below LARGE.
4. large: it is not.

FALSE_ALARMS thus bounds how often a report of answers without drift shows any, as far as they are independent: twenty scans
of one patient are not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from edge_runtime.training_statistics import Choices, Histogram, Observed, Statistics, counted

Band = Literal["too_few", "stable", "moderate", "large"]
BANDS: tuple[Band, ...] = ("too_few", "stable", "moderate", "large")
"""From what says least to what says most."""
Kind = Literal["input", "output"]

MODERATE = 0.1
LARGE = 0.25
FALSE_ALARMS = 0.01
FEWEST = 30
FEWEST_A_BIN = 5
_SMOOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a histogram, or one choice. Shares are 0 to 1."""

    name: str
    expected: float
    """The share in training."""
    found: float


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that was compared. `psi`, `chance` and `p` are None where there are too few answers."""

    kind: Kind
    name: str
    band: Band
    cases: int
    """Answers that have it."""
    needed: int
    """Fewer say nothing."""
    training_cases: int
    bins: tuple[Bin, ...]
    is_choice: bool
    """Whether its bins are choices; spans of a number else."""
    psi: float | None = None
    chance: float | None = None
    """What PSI is on average where nothing drifts."""
    p: float | None = None


def compare(statistics: Statistics, observed: Sequence[Observed]) -> tuple[Measure, ...]:
    """Every measure that training has, inputs first."""
    tested = len(statistics.inputs) + len(statistics.outputs) + len(statistics.choices)
    allowed = FALSE_ALARMS / max(1, tested)
    return (
        *(_of_number("input", name, trained, [one.inputs for one in observed], allowed)
          for name, trained in statistics.inputs.items()),
        *(_of_choice(name, trained, [one.choices for one in observed], allowed)
          for name, trained in statistics.choices.items()),
        *(_of_number("output", name, trained, [one.outputs for one in observed], allowed)
          for name, trained in statistics.outputs.items()),
    )


def worst(measures: Sequence[Measure]) -> Band:
    """The band that says most."""
    return max((measure.band for measure in measures), key=BANDS.index, default="too_few")


def psi(expected: Sequence[float], found: Sequence[float]) -> float:
    """The population stability index of two histograms of counts over the same bins."""
    total = 0.0
    more = _SMOOTHING * len(expected)
    for one, other in zip(expected, found, strict=True):
        before = (one + _SMOOTHING) / (sum(expected) + more)
        after = (other + _SMOOTHING) / (sum(found) + more)
        total += (after - before) * math.log(after / before)
    return total


def two_sample(expected: Sequence[float], found: Sequence[float]) -> float:
    """The p-value of the two-sample chi-squared test; 1 where there is nothing to tell apart."""
    pairs = [(one, other) for one, other in zip(expected, found, strict=True) if one + other > 0]
    n, m = sum(one for one, _ in pairs), sum(other for _, other in pairs)
    if len(pairs) < 2 or not n or not m:
        return 1.0
    scale = math.sqrt(m / n)
    statistic = sum((scale * one - other / scale) ** 2 / (one + other) for one, other in pairs)
    return chi_squared_tail(statistic, len(pairs) - 1)


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """How often chi-squared with so many degrees of freedom (1 or more) is above `statistic`; the closed sums of
    Abramowitz and Stegun 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    if degrees % 2:
        total, term, step = math.erfc(math.sqrt(half)), math.exp(-half) * math.sqrt(half) / math.gamma(1.5), 1.5
    else:
        total, term, step = 0.0, math.exp(-half), 1.0
    for _ in range(degrees // 2):
        total += term
        term *= half / step
        step += 1
    return min(1.0, total)


def _of_number(
    kind: Kind, name: str, trained: Histogram, observed: Sequence[Mapping[str, float]], allowed: float
) -> Measure:
    counts = counted([(one[name], 1.0) for one in observed if name in one], trained.edges)
    rows = list(zip(_spans(trained.edges), trained.shares, counts, strict=True))
    return _judged(kind, name, trained.cases, rows, allowed, is_choice=False)


def _of_choice(name: str, trained: Choices, observed: Sequence[Mapping[str, str]], allowed: float) -> Measure:
    values = [one[name] for one in observed if name in one]
    names = [*trained.shares, *sorted(set(values) - set(trained.shares))]
    rows = [(choice, trained.shares.get(choice, 0.0), float(values.count(choice))) for choice in names]
    return _judged("output", name, trained.cases, rows, allowed, is_choice=True)


def _judged(
    kind: Kind, name: str, training_cases: int, rows: Sequence[tuple[str, float, float]], allowed: float, *, is_choice: bool
) -> Measure:
    """`rows`: of each bin its name, its share in training and its count now."""
    counts = [count for _, _, count in rows]
    cases = round(sum(counts))
    needed = max(FEWEST, FEWEST_A_BIN * len(rows))
    bins = tuple(Bin(label, share, count / cases if cases else 0.0) for label, share, count in rows)
    if cases < needed:
        return Measure(kind, name, "too_few", cases, needed, training_cases, bins, is_choice)
    trained = [share * training_cases for _, share, _ in rows]
    index, p = psi(trained, counts), two_sample(trained, counts)
    chance = (len(rows) - 1) * (1 / training_cases + 1 / cases)
    band = _band(index - chance, p, allowed)
    return Measure(kind, name, band, cases, needed, training_cases, bins, is_choice, index, chance, p)


def _band(excess: float, p: float, allowed: float) -> Band:
    if excess < MODERATE or p >= allowed:
        return "stable"
    return "moderate" if excess < LARGE else "large"


def _spans(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["any"]
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} and more"]
