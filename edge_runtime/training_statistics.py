"""What a model saw and said where it was made, as numbers: `[statistics]` of its manifest. And how an answer becomes the same
numbers, so that a command over the training data and a gateway over its stored answers measure one thing.

Free of numpy: the gateway's own process compares with it.
"""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from domains.usability import is_foreign

QUALITY = ("brightness", "contrast", "sharpness")
"""The inputs' measures; domains/core/quality.py says what they are."""
SIGNALS = ("evidence_spread", "unfamiliarity")
"""Outputs that stand beside an answer, where its model gives them."""
STILLS = ("classification", "segmentation")
"""The kinds of result that can be observed: those of one picture."""
ABSTAINED, LABEL, PROBABILITY, AREA = "abstained", "label", "probability", "area_{}"
MOST_BINS = 10
FEWEST_BINS = 3
CASES_A_BIN = 10
"""At least so many training cases lie in a bin on average, unless that would make fewer than FEWEST_BINS."""

_DIGITS = 4
_SUM_TOLERANCE = 1e-3


class Histogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a number is distributed. `edges`: between the bins, ascending; a value on an edge belongs to the bin above.
    `shares`: of the cases in each bin, one more than edges. `cases`: how many there were.
    """

    cases: int
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} bins, got {len(self.shares)} shares")
        if any(not math.isfinite(edge) for edge in self.edges) or any(
            low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)
        ):
            raise ValueError("edges must be finite and ascending")
        _check_shares(self.cases, self.shares)


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often each of a closed set of answers was given."""

    cases: int
    shares: dict[str, float]

    def __post_init__(self) -> None:
        _check_shares(self.cases, self.shares.values())


class Statistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured when a package was made. `variant`: the one that ran. `inputs` by measure; `outputs` and `choices` by
    what they are of: PROBABILITY, SIGNALS, AREA, and LABEL, ABSTAINED.
    """

    variant: str
    inputs: dict[str, Histogram]
    outputs: dict[str, Histogram]
    choices: dict[str, Choices]


@dataclass(frozen=True, slots=True)
class Observed:
    """The numbers of one answer to one picture."""

    inputs: Mapping[str, float]
    outputs: Mapping[str, float]
    choices: Mapping[str, str]


def observe(document: Mapping[str, Any], quality: Mapping[str, Any]) -> Observed:
    """An answer's numbers. `document`: the result of a picture (one of STILLS); `quality`: what was measured of its pixels,
    as far as it is known. A foreign picture has no answer to measure: ABSTAINED and SIGNALS tell of it.
    """
    inputs = {name: float(quality[name]) for name in QUALITY if name in quality}
    outputs = {name: float(quality[name]) for name in SIGNALS if name in quality}
    choices = {ABSTAINED: "yes" if document["abstained"] else "no"}
    if is_foreign(document):
        return Observed(inputs, outputs, choices)
    if document["kind"] == "classification":
        outputs[PROBABILITY] = float(document["probability"])
        choices[LABEL] = document["label"]
    else:
        outputs |= {AREA.format(row["label"]): float(row["area_fraction"]) for row in document["classes"]}
    return Observed(inputs, outputs, choices)


def histogram(values: Sequence[tuple[float, float]], cases: int) -> Histogram:
    """Of pairs (value, weight), at least one: bins that hold about as many cases each, at most MOST_BINS.

    `cases`: how many independent things the values are of; the frames of one clip are one.
    """
    bins = min(MOST_BINS, max(FEWEST_BINS, cases // CASES_A_BIN))
    ordered = sorted(values)
    total = sum(weight for _, weight in ordered)
    cuts, below, full = set(), 0.0, 0
    for value, weight in ordered:
        filled = int(below / total * bins + _SUM_TOLERANCE)  # bins that the smaller values fill
        if filled > full:
            cuts.add(round(value, _DIGITS))
            full = filled
        below += weight
    lowest = round(ordered[0][0], _DIGITS)
    edges = sorted(cut for cut in cuts if cut > lowest)
    if not edges:  # nearly all are alike: what isn't goes into a bin of its own
        edges = sorted({round(value, _DIGITS) for value, _ in ordered} - {lowest})[:1]
    return Histogram(cases, tuple(edges), tuple(_rounded(counted(values, edges))))


def choices(values: Iterable[tuple[str, float]], offered: Sequence[str], cases: int) -> Choices:
    """Of pairs (answer, weight); every answer that is `offered` has its share, 0 too."""
    counts = dict.fromkeys(offered, 0.0)
    for value, weight in values:
        counts[value] += weight
    return Choices(cases, dict(zip(counts, _rounded(list(counts.values())), strict=True)))


def counted(values: Iterable[tuple[float, float]], edges: Sequence[float]) -> list[float]:
    """The weight in each bin of pairs (value, weight)."""
    counts = [0.0] * (len(edges) + 1)
    for value, weight in values:
        counts[bisect.bisect_right(edges, value)] += weight
    return counts


def _rounded(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [round(count / total, 6) for count in counts]


def _check_shares(cases: int, shares: Iterable[float]) -> None:
    found = list(shares)
    if cases < 1:
        raise ValueError("statistics are of 1 case or more")
    if not all(0 <= share <= 1 for share in found) or abs(sum(found) - 1) > _SUM_TOLERANCE:
        raise ValueError("shares must lie in 0..1 and add up to 1")
