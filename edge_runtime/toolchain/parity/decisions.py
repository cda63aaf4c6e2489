"""How far the decisions of two sides agree over all inputs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.parity import report
from edge_runtime.toolchain.parity.answers import LABEL, Decided, Question, differ
from edge_runtime.toolchain.parity.inputs import Sample

MOST_APART = 10
_Z95 = 1.959963984540054


@dataclass(slots=True)
class Tally:
    """Collects pair after pair of answers to one question."""

    question: Question
    rows: list[report.Apart] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    parts: Counter[str] = field(default_factory=Counter)
    unlike: int = 0
    right: list[tuple[bool, bool]] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.question.labels)
        self.confusion = np.zeros((count, count), np.int64)

    def add(self, sample: Sample, a: Decided, b: Decided) -> report.Apart:
        """One input's answers. Gives how far they are apart."""
        found = differ(a, b, len(self.question.labels))
        self.confusion += found.confusion
        self.parts.update(dict.fromkeys(found.parts, 1))
        self.unlike += bool(found.parts) or found.agree < 1
        self.groups.append(sample.group)
        self.rows.append(report.Apart(sample.name, a.answer, b.answer, found.agree, found.distance))
        if sample.truth >= 0 and self.question.kind == LABEL:
            self.right.append((sample.truth in a.classes, sample.truth in b.classes))
        return self.rows[-1]

    def result(self) -> report.Decisions:
        """Over all inputs so far, of which there must be one at least."""
        seen = np.flatnonzero(self.confusion.sum(0) + self.confusion.sum(1))
        differing = [row for row in self.rows if row.agree < 1]
        shown = sorted(self.rows, key=lambda row: (row.agree == 1, -row.distance, -(1 - row.agree)))
        return report.Decisions(
            kind=self.question.kind, output=self.question.output, inputs=len(self.rows), groups=len(set(self.groups)),
            agreement=agreement([row.agree for row in self.rows], self.groups), differing=len(differing), unlike=self.unlike,
            differ_in=dict(self.parts), labels=[self.question.labels[index] for index in seen],
            confusion=self.confusion[np.ix_(seen, seen)].tolist(),
            margin_where_same=_margin([row for row in self.rows if row.agree == 1]), margin_where_different=_margin(differing),
            apart=[row for row in shown[:MOST_APART] if row.distance > 0 or row.agree < 1], truth=_truth(self.right),
        )


def agreement(shares: Sequence[float], groups: Sequence[str]) -> report.Share:
    """The mean share of agreement with its 95 % interval. Whole inputs that agree or not: Wilson (1927), where each group counts
    as one look, since its inputs are alike. Shares of pixels: the bootstrap over groups.
    """
    value = fmean(shares)
    if all(share in {0.0, 1.0} for share in shares):
        return report.Share(value, *_wilson(value, len(set(groups))))
    found = with_intervals(shares, groups, lambda drawn: {"agreement": fmean(drawn)})["agreement"]
    return report.Share(value, min(value, found["low"]), max(value, found["high"]))


def _wilson(share: float, looks: int) -> tuple[float, float]:
    z2 = _Z95**2
    scale, centre = 1 + z2 / looks, share + z2 / (2 * looks)
    half = _Z95 * math.sqrt(share * (1 - share) / looks + z2 / (4 * looks**2))
    return max(0.0, min(share, (centre - half) / scale)), min(1.0, max(share, (centre + half) / scale))


def _margin(rows: Sequence[report.Apart]) -> float | None:
    """The mean over inputs of the smaller side's."""
    both = [min(row.a.margin, row.b.margin) for row in rows if row.a.margin is not None and row.b.margin is not None]
    return fmean(both) if both else None


def _truth(right: Sequence[tuple[bool, bool]]) -> report.Truth | None:
    if not right:
        return None
    counted = Counter(right)
    return report.Truth(
        len(right), sum(a for a, _ in right), sum(b for _, b in right), counted[True, False], counted[False, True]
    )
