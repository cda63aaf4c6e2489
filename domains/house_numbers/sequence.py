"""From frames of one digit to a verdict: the mean over those that count, and no more. Loads no numpy.

The least that the contract of sequences asks for (domains/sequences.py). How sure a verdict is was never measured, so it has no
interval.
"""

from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from domains.sequences import Document, Frame, Sequence, Verdict
from domains.usability import LOW_CONFIDENCE, TOO_FEW, Usability, Watch, options_from

AGGREGATION = "mean of the probabilities of usable frames"
NOTICE = "This domain is made for single pictures: its verdict on a clip has no interval and no timeline."
RECENT = 12
"""Usable frames that the running verdict is about."""


class SequenceOptions(Usability, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options.sequence]` of a house_numbers model."""


class OpenedWith(SequenceOptions, frozen=True, forbid_unknown_fields=False):
    """What a sequence is opened with: its options, and of the model's the probability below which it abstains."""

    abstain_below: Annotated[float, Meta(ge=0, le=1)] = 0.0


class DigitSequence(Sequence):
    """Frames that all show the same digit."""

    def __init__(self, options: OpenedWith) -> None:
        self._options = options
        self._watch = Watch(options)
        self._sums: dict[str, float] = {}
        self._recent: deque[dict[str, float]] = deque(maxlen=RECENT)
        self._surest: dict[str, tuple[float, int, float]] = {}
        """Of each label: the probability, number and time of the frame that shows it best."""

    def add(self, frame: Frame) -> str:
        fault = self._watch.fault_of(frame)
        if fault:
            return fault
        shares = {row["label"]: row["probability"] for row in frame.result["probabilities"]}
        self._recent.append(shares)
        for label, share in shares.items():
            self._sums[label] = self._sums.get(label, 0.0) + share
            if share > self._surest.get(label, (-1.0,))[0]:
                self._surest[label] = (share, frame.number, frame.time_s)
        return ""

    def running(self) -> dict[str, Any]:
        counts = self._watch.counts()
        means = {label: sum(shares[label] for shares in self._recent) / len(self._recent) for label in self._sums}
        return {"kind": "running_classification", **self._found(means),
                "usable_share": counts["usable_share"], "frames": counts}

    def key_frames(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(number for _, number, _ in self._surest.values()))

    def verdict(self) -> Verdict:
        found = self._found({label: total / self._watch.usable for label, total in self._sums.items()})
        shown = [self._surest[found["label"]]] if self._surest else []
        document = {
            "kind": "clip_classification", **found,
            "frames": self._watch.counts(),
            "key_frames": [{"number": number, "time_s": round(time_s, 3), "label": found["label"],
                            "probability": round(share, 6)} for share, number, time_s in shown],
            "timeline": [],
            "aggregation": AGGREGATION,
            "notices": [NOTICE],
        }
        return Verdict(document, tuple(number for _, number, _ in shown))

    def _found(self, means: Mapping[str, float]) -> dict[str, Any]:
        label = max(means, key=means.__getitem__, default="")
        probability = means.get(label, 0.0)
        abstention = self._abstention(label, probability)
        return {
            "label": label,
            "probability": round(probability, 6),
            "interval": None,
            "probabilities": [{"label": name, "probability": round(share, 6)} for name, share in means.items()],
            "abstained": abstention is not None,
            "abstention": abstention,
        }

    def _abstention(self, label: str, probability: float) -> Document | None:
        watch, options = self._watch, self._options
        share = watch.usable / watch.analysed if watch.analysed else 0.0
        if watch.usable < options.fewest_usable or share < options.least_usable_share:
            return {"code": TOO_FEW, "reason": f"Of {watch.analysed} frames {watch.usable} could be used: too few to "
                                               "stand by a digit."}
        if probability < options.abstain_below:
            return {"code": LOW_CONFIDENCE,
                    "reason": f"Over the usable frames the most probable digit, {label}, has a probability of "
                              f"{probability:.2f}; below {options.abstain_below:.2f} this model leaves the question open."}
        return None


def open_sequence(options: Mapping[str, Any]) -> Sequence:
    """A new sequence. `options`: ModelInfo.sequence, see OpenedWith. Raises ValueError where they are something else."""
    return DigitSequence(options_from(options, OpenedWith))
