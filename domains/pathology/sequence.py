"""From scanned frames to a verdict: which count, what they say together, how sure that is. Loads no numpy.

How it was chosen, and what the interval means and doesn't: docs/clips.md.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from domains.pathology.evidence import Evidence
from domains.pathology.key_frames import KeyFrame, KeyFrames
from domains.pathology.timeline import Timeline
from domains.sequences import Document, Frame, Sequence, Verdict
from domains.usability import FOREIGN, FROZEN, LOW_CONFIDENCE, TOO_FEW, WORLD, Usability, Watch, not_of, options_from

CONFIDENCE = 0.9
LEAST_WEIGHT = 0.5
"""Of the usable frames of the last moments: less, and the running verdict is about the past."""
MOST = 0.5
"""Of the frames: more that are foreign, and there is nothing to be said of the others."""
AGGREGATION = "mean of the probabilities of usable frames"

Share = Annotated[float, Meta(ge=0, le=1)]


class SequenceOptions(Usability, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options.sequence]` of a pathology model."""

    half_life_s: Annotated[float, Meta(gt=0)] = 2.0
    """Of the running verdict: a frame of that age counts half."""
    look_s: Annotated[float, Meta(gt=0)] = 1.0
    """Frames of so much time are worth one independent look."""


class OpenedWith(SequenceOptions, frozen=True, forbid_unknown_fields=False):
    """What a sequence is opened with: its options, and of the model's the probability below which it abstains and, where it has a
    gate, what its pictures are.
    """

    abstain_below: Share = 0.0
    world: str = WORLD


class ScanSequence(Sequence):
    """Frames of one scan."""

    def __init__(self, options: OpenedWith) -> None:
        self._options = options
        self._watch = Watch(options)
        self._labels: tuple[str, ...] = ()
        self._whole = Evidence(options.look_s)
        self._recent = Evidence(options.look_s, options.half_life_s)
        self._timeline = Timeline()
        self._key_frames: dict[str, KeyFrames] = {}

    def add(self, frame: Frame) -> str:
        rows = frame.result["probabilities"]  # none of a foreign frame
        if not self._labels:
            self._labels = tuple(row["label"] for row in rows)
            self._key_frames = {label: KeyFrames() for label in self._labels}
        shares = tuple(row["probability"] for row in rows)
        fault = self._watch.fault_of(frame)
        if not fault:
            self._offer(frame, shares)
        for evidence in (self._whole, self._recent):
            evidence.add(frame.time_s, None if fault else shares, frozen=fault == FROZEN, foreign=fault == FOREIGN)
        self._timeline.add(frame.time_s, self._recent.mean, usable=not fault)
        return fault

    def running(self) -> dict[str, Any]:
        faded = self._recent.weight < LEAST_WEIGHT
        return {
            "kind": "running_classification", **self._found(self._recent, faded=faded),
            "usable_share": round(self._recent.usable_share, 4), "frames": self._watch.counts(),
        }

    def key_frames(self) -> tuple[int, ...]:
        mean = self._whole.mean
        order = sorted(range(len(mean)), key=lambda index: -mean[index])
        found = (kept.number for index in order for kept in self._key_frames[self._labels[index]].best())
        return tuple(dict.fromkeys(found))

    def verdict(self) -> Verdict:
        found = self._found(self._whole)
        kept = self._key_frames[found["label"]].best() if found["label"] else ()
        leading = _leading(self._whole.mean)
        document = {
            "kind": "clip_classification", **found,
            "frames": self._watch.counts(),
            "key_frames": [
                {"number": frame.number, "time_s": round(frame.time_s, 3), "label": found["label"],
                 "probability": round(frame.probability, 6)} for frame in kept],
            "timeline": [
                {"time_s": round(point.time_s, 3), "usable": 2 * point.usable >= point.frames,
                 "probability": round(point.smoothed[leading], 4) if point.smoothed and found["label"] else 0.0}
                for point in self._timeline],
            "aggregation": AGGREGATION,
            "notices": [],
        }
        return Verdict(document, tuple(frame.number for frame in kept))

    def _offer(self, frame: Frame, shares: tuple[float, ...]) -> None:
        """Each label has its own key frames, since which one leads may change: the surer and the sharper, the better."""
        sharp = (1 + frame.quality.get("sharpness", 1.0)) / 2
        for kept, share in zip(self._key_frames.values(), shares, strict=True):
            kept.offer(KeyFrame(frame.number, frame.time_s, share, share * sharp))

    def _found(self, evidence: Evidence, *, faded: bool = False) -> dict[str, Any]:
        too_few = self._too_few(evidence, faded=faded)
        shares = () if too_few and too_few["code"] == FOREIGN else evidence.mean
        leading = _leading(shares)
        label, probability = (self._labels[leading], shares[leading]) if shares else ("", 0.0)
        abstention = too_few or self._low_confidence(label, probability)
        interval = evidence.interval(leading, CONFIDENCE) if shares else None
        return {
            "label": label,
            "probability": round(probability, 6),
            "interval": interval and {"low": round(interval[0], 4), "high": round(interval[1], 4), "confidence": CONFIDENCE},
            "probabilities": [{"label": name, "probability": round(share, 6)}
                              for name, share in zip(self._labels, shares, strict=True)] if shares else [],
            "abstained": abstention is not None,
            "abstention": abstention,
        }

    def _too_few(self, evidence: Evidence, *, faded: bool) -> Document | None:
        """Why the usable frames don't make a verdict; where most frames are foreign, that is why."""
        watch = self._watch
        enough = (watch.usable >= self._options.fewest_usable
                  and evidence.usable_share_of_moving >= self._options.least_usable_share)
        if enough and not faded:
            return None
        if evidence.foreign_share > MOST:
            return {"code": FOREIGN, "reason": not_of(self._options.world, watch)}
        faults = ", ".join(f"{count} {fault}" for fault, count in watch.faults.most_common())
        when = ", none of them lately" if enough else ""
        return {"code": TOO_FEW, "reason": f"Of {watch.analysed} frames {watch.usable} could be used{when}"
                                           f"{f' ({faults})' if faults else ''}: too few to stand by a label."}

    def _low_confidence(self, label: str, probability: float) -> Document | None:
        below = self._options.abstain_below
        if probability >= below:
            return None
        return {"code": LOW_CONFIDENCE,
                "reason": f"Over the usable frames the most probable label, {label}, has a probability of "
                          f"{probability:.2f}; below {below:.2f} this model leaves the question open."}


def open_sequence(options: Mapping[str, Any]) -> Sequence:
    """A new sequence. `options`: ModelInfo.sequence, see OpenedWith. Raises ValueError where they are something else."""
    return ScanSequence(options_from(options, OpenedWith))


def _leading(shares: tuple[float, ...]) -> int:
    return max(range(len(shares)), key=shares.__getitem__, default=0)

