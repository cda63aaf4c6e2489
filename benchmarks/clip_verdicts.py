"""Ways to join a clip's frames to one verdict, against each other on held-out lung clips; what the checks of usable frames
find and what they miss; and what the verdict's interval covers.

    .venv/bin/python benchmarks/clip_verdicts.py --data DIR [--plot docs/images/clip_verdicts.png]

Prints JSON. The first run sends every frame through the int8 lung model (some minutes) and keeps what it answered in
var/clip_observations.json; later runs read that, until the model or what is measured changes. docs/clips.md has the figures.
"""

import argparse
import hashlib
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.clip_observations import LUNG, Clip, Observed, lung_clips, other_material, reader, spoilt_clips
from benchmarks.clip_plot import draw
from domains import registry
from domains.core import quality
from domains.pathology import postprocess
from domains.pathology.evidence import wilson
from domains.pathology.training.scoring import auc
from domains.sequences import Frame, Verdict
from domains.usability import FOREIGN
from edge_runtime.models import load_package
from edge_runtime.toolchain.bootstrap import with_intervals

CACHE = Path(__file__).parents[1] / "var" / "clip_observations.json"
MEASURING = [Path(quality.__file__), Path(postprocess.__file__)]
CONFIDENCE = 0.9
ECE_BINS = 5

Scored = tuple[bool, float, bool]
"""Truly abnormal; probability of abnormal; whether the verdict is stood by."""


class Observations(msgspec.Struct, frozen=True):
    """The file in var/. `made_of`: a hash of the weights and of the code that measures."""

    made_of: str
    lung: list[Clip]
    spoilt: list[Clip]
    other: list[Clip]


def main() -> None:
    """Runs it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    package = load_package(LUNG)
    options = registry.load("pathology").sequence_options(package.spec)
    weights = package.manifest.variants["int8"].sha256
    seen = observations(given.data, hashlib.sha256(weights.encode() + b"".join(map(Path.read_bytes, MEASURING))).hexdigest())
    held_out = [clip for clip in seen.lung if clip.part == "val"]
    found = {
        "clips": {part: counted([clip for clip in seen.lung if clip.part == part])
                  for part in ("train", "calibration", "val")},
        "methods": {name: compared(held_out, join, options) for name, join in METHODS.items()},
        "calibration_brier": {
            name: round(statistics.fmean(join(usable(clip, options)) ** 2 for clip in seen.lung if clip.part == "calibration"), 4)
            for name, join in METHODS.items()},
        "by_clip": [row(clip, options) for clip in held_out],
        "correlation_s": correlation(seen.lung, options),
        "interval": {part: coverage([clip for clip in seen.lung if clip.part in parts], options)
                     for part, parts in {"val and calibration": ("val", "calibration"), "train": ("train",)}.items()},
        "refused": {part: refused(clips, options) for part, clips in by_part([*seen.lung, *seen.spoilt, *seen.other]).items()},
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if given.plot:
        draw(held_out, found, given.plot)


def observations(data: Path, made_of: str) -> Observations:
    """From the file where it is of this model, else made anew."""
    if CACHE.exists():
        kept = msgspec.json.decode(CACHE.read_bytes(), type=Observations)
        if kept.made_of == made_of:
            return kept
    using = reader()
    made = Observations(made_of, list(lung_clips(data, ("train", "calibration", "val"), using)),
                        list(spoilt_clips(data, using)), list(other_material(data, using)))
    CACHE.parent.mkdir(exist_ok=True)
    CACHE.write_bytes(msgspec.json.encode(made))
    return made


def judged(clip: Clip, options: Mapping[str, Any]) -> tuple[list[str], Verdict]:
    """Why each frame doesn't count ("" where it does), and the shipped verdict."""
    sequence = registry.open_sequence("pathology", options)
    faults = [sequence.add(Frame(number, seen.time_s, document(seen), seen.quality))
              for number, seen in enumerate(clip.frames, 1)]
    return faults, sequence.verdict()


def document(seen: Observed) -> dict[str, Any]:
    """As much of the result as a sequence looks at."""
    if seen.foreign:
        return {"probabilities": [], "abstention": {"code": FOREIGN, "reason": ""}}
    return {"probabilities": [{"label": "normal", "probability": 1 - seen.abnormal},
                              {"label": "abnormal", "probability": seen.abnormal}]}


def usable(clip: Clip, options: Mapping[str, Any]) -> list[Observed]:
    """The frames that count; all of them where none does."""
    faults, _ = judged(clip, options)
    return [seen for seen, fault in zip(clip.frames, faults, strict=True) if not fault] or clip.frames


def shares(frames: Sequence[Observed]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Probability of abnormal, (frames,)."""
    return np.array([seen.abnormal for seen in frames])


def log_odds(frames: Sequence[Observed]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """As `shares`, between -7 and 7."""
    clipped = np.clip(shares(frames), 1e-3, 1 - 1e-3)
    return np.asarray(np.log(clipped / (1 - clipped)))


def sharp_mean(frames: Sequence[Observed]) -> float:
    """Sharper frames weigh more."""
    return float(np.average(shares(frames), weights=[0.01 + seen.quality["sharpness"] for seen in frames]))


def top_quarter(frames: Sequence[Observed]) -> float:
    """Mean of the highest quarter, after smoothing over half a second: is it abnormal anywhere?"""
    times = np.array([seen.time_s for seen in frames])
    near = np.abs(times[:, None] - times[None]) <= 0.25
    smoothed = (near @ shares(frames)) / near.sum(axis=1)
    return float(np.sort(smoothed)[-max(1, len(smoothed) // 4):].mean())


def pooled(frames: Sequence[Observed]) -> float:
    """Log-odds added up, one for each second: as if seconds were independent witnesses."""
    seconds = max(1.0, frames[-1].time_s - frames[0].time_s)
    return float(1 / (1 + np.exp(-log_odds(frames).mean() * seconds)))


METHODS: dict[str, Callable[[Sequence[Observed]], float]] = {
    "majority vote": lambda frames: float((shares(frames) > 0.5).mean()),
    "mean": lambda frames: float(shares(frames).mean()),
    "median": lambda frames: float(np.median(shares(frames))),
    "mean weighted by sharpness": sharp_mean,
    "mean of log-odds": lambda frames: float(1 / (1 + np.exp(-log_odds(frames).mean()))),
    "log-odds added up by second": pooled,
    "top quarter, smoothed": top_quarter,
}
"""Each takes the usable frames of a clip."""


def compared(clips: Sequence[Clip], join: Callable[[Sequence[Observed]], float], options: Mapping[str, Any]) -> dict[str, Any]:
    """Figures by clip over usable frames, over all frames, and how the Brier score differs from that of the mean."""
    groups = [clip.group for clip in clips]
    counting = [scored(clip, join(usable(clip, options)), options) for clip in clips]
    every = [scored(clip, join(clip.frames), options) for clip in clips]
    mean = [scored(clip, METHODS["mean"](usable(clip, options)), options) for clip in clips]
    pairs = list(zip(counting, mean, strict=True))
    return {
        "usable_frames": with_intervals(counting, groups, figures),
        "all_frames": {name: round(value, 4) for name, value in figures(every).items()},
        "brier_less_than_mean": with_intervals(
            pairs, groups, lambda rows: {"by": brier([b for _, b in rows]) - brier([a for a, _ in rows])})["by"],
    }


def scored(clip: Clip, share: float, options: Mapping[str, Any]) -> Scored:
    """A clip's score where `share` is its probability of abnormal."""
    return clip.abnormal, share, max(share, 1 - share) >= options["abstain_below"]


def figures(rows: Sequence[Scored]) -> dict[str, float]:
    """By clip; NaN where a class is missing."""
    truth, share = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    answered = np.array([row[2] for row in rows])
    right = (share > 0.5) == truth
    recalls = [right[truth == label].mean() if (truth == label).any() else math.nan for label in (False, True)]
    return {
        "balanced_accuracy": float(np.mean(recalls)), "auc": auc(share, truth), "brier": brier(rows), "ece": ece(share, truth),
        "answered_share": float(answered.mean()),
        "answered_accuracy": float(right[answered].mean()) if answered.any() else math.nan,
    }


def brier(rows: Sequence[Scored]) -> float:
    """Mean squared error of the probability."""
    return float(np.mean([(share - truth) ** 2 for truth, share, _ in rows]))


def ece(share: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    """Expected calibration error in five bins."""
    bins = np.minimum((share * ECE_BINS).astype(int), ECE_BINS - 1)
    return float(sum(abs(share[bins == one].mean() - truth[bins == one].mean()) * (bins == one).mean() for one in set(bins)))


def row(clip: Clip, options: Mapping[str, Any]) -> dict[str, Any]:
    """One held-out clip for people."""
    verdict = judged(clip, options)[1].document
    return {"clip": clip.name, "group": clip.group, "truth": "abnormal" if clip.abnormal else "normal",
            **{key: verdict[key] for key in ("label", "probability", "interval", "abstained", "frames")}}


def counted(clips: Sequence[Clip]) -> dict[str, int]:
    """How many."""
    return {"clips": len(clips), "groups": len({clip.group for clip in clips}), "abnormal": sum(clip.abnormal for clip in clips),
            "frames": sum(len(clip.frames) for clip in clips)}


def correlation(clips: Sequence[Clip], options: Mapping[str, Any]) -> dict[str, float]:
    """Integrated autocorrelation time of the frames' probability, in seconds: quantiles over clips."""
    found = []
    for clip in clips:
        values = shares(usable(clip, options))
        seconds = clip.frames[-1].time_s / max(1, len(values) - 1)
        parts = values - values.mean()
        sums = np.correlate(parts, parts, "full")[len(parts) - 1:]
        if sums[0] > 0:
            ends = int(np.argmax(sums <= 0)) or len(sums)
            found.append((1 + 2 * float(sums[1:ends].sum() / sums[0])) * seconds)
    return {name: round(float(np.quantile(found, at)), 2) for name, at in (("median", 0.5), ("p90", 0.9), ("most", 1.0))}


def coverage(clips: Sequence[Clip], options: Mapping[str, Any]) -> dict[str, float]:
    """How often the mean over a clip's second half lies in the interval of its first half: the shipped one, and one that
    takes every frame for independent; and over clips whose halves aren't both within 0.02 of 0 or 1.
    """
    rows = []
    for clip in clips:
        half = len(clip.frames) // 2
        first = judged(msgspec.structs.replace(clip, frames=clip.frames[:half]), options)[1].document
        if first["interval"] is None:  # no frame of it counts
            continue
        later = usable(msgspec.structs.replace(clip, frames=clip.frames[half:]), options)
        target = float(shares(later).mean() if first["label"] == "abnormal" else 1 - shares(later).mean())
        naive = wilson(first["probability"], max(1, first["frames"]["usable"]), CONFIDENCE)
        shipped = first["interval"]
        open_question = 0.02 < target < 0.98 or 0.02 < first["probability"] < 0.98
        rows.append((shipped["low"] <= target <= shipped["high"], naive[0] <= target <= naive[1], open_question,
                     shipped["high"] - shipped["low"]))
    kept = [one for one in rows if one[2]]
    return {
        "clips": len(rows), "shipped": share_of(one[0] for one in rows), "every_frame_counts": share_of(one[1] for one in rows),
        "unsaturated_clips": len(kept), "unsaturated_shipped": share_of(one[0] for one in kept),
        "unsaturated_every_frame_counts": share_of(one[1] for one in kept),
        "width": round(statistics.fmean(one[3] for one in rows), 3),
    }


def share_of(kept: Any) -> float:
    """Of true values."""
    values = list(kept)
    return round(sum(values) / len(values), 3) if values else math.nan


def by_part(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """In the order of the first of each."""
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.part, []).append(clip)
    return found


def refused(clips: Sequence[Clip], options: Mapping[str, Any]) -> dict[str, Any]:
    """Share of frames that don't count, by reason; share of clips without a verdict to stand by, where they have
    several frames. The first frame of a clip can't be frozen and is left out where more follow.
    """
    reasons: Counter[str] = Counter()
    frames, open_clips, long_clips = 0, 0, 0
    for clip in clips:
        faults, verdict = judged(clip, options)
        faults = faults[1:] or faults
        reasons.update(fault for fault in faults if fault)
        frames += len(faults)
        if len(clip.frames) > 1:
            long_clips += 1
            open_clips += verdict.document["abstained"]
    return {"clips": len(clips), "frames": frames, "refused": round(reasons.total() / frames, 4),
            **{reason: round(count / frames, 4) for reason, count in sorted(reasons.items())},
            **({"clips_left_open": round(open_clips / long_clips, 4)} if long_clips else {})}


if __name__ == "__main__":
    main()
