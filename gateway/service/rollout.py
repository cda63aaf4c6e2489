"""What a version on trial is held against: how answers are compared, what is counted, and when it is taken out. Pure.

A trial runs a candidate beside the version in service. In shadow mode callers get the answers in service, and the same
input runs on the candidate afterwards. In canary mode a share of the callers gets the candidate's answers, and the same
input runs on the version in service afterwards. Either way each pair is compared.

**The rule.** The candidate is taken out, and the version in service answers all, as soon as one of these holds:

1. It broke or hung a worker process, once.
2. FAILURES_ALLOWED or more of its last WINDOW runs failed on inputs that the version in service answered.
3. After MIN_COMPARED comparisons or more: the lower end of the 95 % interval (Wilson 1927) of the share of pairs that
   disagree lies above the share allowed, DISAGREEMENT_ALLOWED unless the trial says otherwise.
4. After MIN_COMPARED timed pairs or more: the median of the candidate's time over the last WINDOW of them is more than
   SLOWER_ALLOWED times that of the version in service. Only pairs that ran on the same device are timed; the time is the
   model's own (preprocessing, inference, postprocessing), without the queue and without decoding.

**Two answers disagree** when one abstains and the other doesn't; when one calls the picture foreign and the other doesn't; for
classifications, when the leading labels differ; for segmentations, when the share of the picture that a class covers differs by more than AREA_TOLERANCE, or when one finds
less than half as much of a class as the other where that covers AREA_SMALLEST of the picture or more.

Point 3 is asked after every comparison, so a candidate whose true share lies just below the allowed one is taken out by
chance more often than once in forty trials; docs/models-on-the-fly.md has the figures.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from domains.usability import is_foreign

Mode = Literal["shadow", "canary"]

WINDOW = 100
FAILURES_ALLOWED = 3
MIN_COMPARED = 30
DISAGREEMENT_ALLOWED = 0.1
SLOWER_ALLOWED = 2.0
AREA_TOLERANCE = 0.05
AREA_SMALLEST = 0.01
_Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Side:
    """One version's answer, short: `values` are the probabilities of a classification by label, or the shares of the
    picture that a segmentation's classes cover, 0 to 1.
    """

    label: str
    """The leading label; `segmentation` for one; empty where the picture is foreign."""
    abstained: bool
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Tally:
    """What a trial has shown so far. `recent`: whether each of the candidate's last runs failed; `times_ms`: of the last
    pairs on one device, (in service, candidate).
    """

    runs: int = 0
    failed: int = 0
    broke: int = 0
    """How often it broke or hung a worker."""
    compared: int = 0
    disagreed: int = 0
    skipped: int = 0
    """Comparisons that were left out because callers needed the devices."""
    recent: tuple[bool, ...] = ()
    times_ms: tuple[tuple[float, float], ...] = ()

    def with_run(self, *, failed: bool = False, broke_worker: bool = False) -> "Tally":
        """After a run of the candidate. One that broke a worker has failed."""
        failed = failed or broke_worker
        return replace(
            self, runs=self.runs + 1, failed=self.failed + failed, broke=self.broke + broke_worker,
            recent=(*self.recent, failed)[-WINDOW:],
        )

    def with_pair(self, *, disagrees: bool, times_ms: tuple[float, float] | None) -> "Tally":
        """After a comparison; `times_ms` (in service, candidate) where both ran on one device."""
        timed = self.times_ms if times_ms is None else (*self.times_ms, times_ms)[-WINDOW:]
        return replace(self, compared=self.compared + 1, disagreed=self.disagreed + disagrees, times_ms=timed)

    def with_skip(self) -> "Tally":
        """After a comparison that was left out."""
        return replace(self, skipped=self.skipped + 1)

    def medians_ms(self) -> tuple[float, float] | None:
        """Milliseconds in service and of the candidate; None where no pair was timed."""
        if not self.times_ms:
            return None
        return statistics.median(pair[0] for pair in self.times_ms), statistics.median(pair[1] for pair in self.times_ms)


def verdict(tally: Tally, *, allowed: float = DISAGREEMENT_ALLOWED) -> str:
    """Why the candidate has to go, in a sentence; empty while it may stay."""
    if tally.broke:
        return "it broke or hung a worker process"
    failures = sum(tally.recent)
    if failures >= FAILURES_ALLOWED:
        return (f"{failures} of its last {len(tally.recent)} runs failed where the version in service answered; "
                f"fewer than {FAILURES_ALLOWED} of {WINDOW} may")
    low, _ = wilson(tally.disagreed, tally.compared)
    if tally.compared >= MIN_COMPARED and low > allowed:
        return (f"it disagrees in {tally.disagreed} of {tally.compared} comparisons, "
                f"at least {low:.1%} with 95 % confidence; {allowed:.1%} are allowed")
    medians = tally.medians_ms()
    if medians and len(tally.times_ms) >= MIN_COMPARED and medians[1] > SLOWER_ALLOWED * medians[0]:
        return (f"its median time over {len(tally.times_ms)} pairs is {medians[1]:.1f} ms, {medians[0]:.1f} ms in service; "
                f"up to {SLOWER_ALLOWED:g} times as much is allowed")
    return ""


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), 0 to 1. Nothing is known of a share of nothing: (0, 1)."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = count / total, _Z95**2
    centre = share + z2 / (2 * total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    scale = 1 + z2 / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def side_of(document: Mapping[str, Any]) -> Side:
    """A result document (domains/core/documents.py), short."""
    if is_foreign(document):
        return Side("", document["abstained"], {})
    if document["kind"] == "classification":
        values = {row["label"]: float(row["probability"]) for row in document["probabilities"]}
        return Side(document["label"], document["abstained"], values)
    values = {row["label"]: float(row["area_fraction"]) for row in document["classes"]}
    return Side("segmentation", document["abstained"], values)


def difference(one: Side, other: Side) -> str:
    """What two answers to the same input disagree in: `abstention`, `label`, `area`; empty where they agree."""
    if one.label != other.label:
        return "label" if one.label and other.label else "abstention"
    if one.abstained != other.abstained:
        return "abstention"
    if one.label != "segmentation":
        return ""
    shares = [(one.values.get(label, 0.0), other.values.get(label, 0.0)) for label in {*one.values, *other.values}]
    return "area" if any(map(_areas_differ, shares)) else ""


def _areas_differ(shares: tuple[float, float]) -> bool:
    less, more = sorted(shares)
    return more - less > AREA_TOLERANCE or (more >= AREA_SMALLEST and less < more / 2)
