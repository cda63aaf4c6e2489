"""The picture of clip_verdicts.py: every held-out clip's frames and verdict, and what the usability checks refuse."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clip_observations import Clip

TRUTH_COLOURS = {False: "#2e6e4e", True: "#b5651d"}
REASON_COLOURS = {"dark": "#444444", "blurred": "#6b8cae", "foreign": "#b5651d", "frozen": "#9ec5c1"}


def draw(clips: Sequence[Clip], found: Mapping[str, Any], path: Path) -> None:
    """Writes the PNG. `clips`: the held-out ones; `found`: what clip_verdicts.py prints."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (verdicts, checks) = plt.subplots(1, 2, figsize=(14, 7.2), layout="constrained", width_ratios=(1.25, 1))
    _verdicts(verdicts, clips, found["by_clip"])
    _checks(checks, found["refused"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _verdicts(axis: Any, clips: Sequence[Clip], rows: Sequence[Mapping[str, Any]]) -> None:
    order = sorted(range(len(clips)), key=lambda index: (clips[index].abnormal, clips[index].group))
    random = np.random.default_rng(0)
    for place, index in enumerate(order):
        clip, row = clips[index], rows[index]
        share = [seen.abnormal for seen in clip.frames]
        axis.scatter(share, place + random.uniform(-0.25, 0.25, len(share)), s=7, alpha=0.3, linewidths=0,
                     color=TRUTH_COLOURS[clip.abnormal])
        ends = [row["interval"]["low"], row["interval"]["high"]]
        value = row["probability"]
        if row["label"] == "normal":
            value, ends = 1 - value, [1 - end for end in reversed(ends)]
        axis.plot(ends, [place, place], color="black", linewidth=1.2)
        axis.plot([value], [place], marker="D", markersize=5, color="black")
    axis.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    axis.set_yticks(range(len(order)), [clips[index].name.rsplit(".", 1)[0] for index in order], fontsize=7)
    for label, index in zip(axis.get_yticklabels(), order, strict=True):
        label.set_color(TRUTH_COLOURS[clips[index].abnormal])
    axis.set_xlabel("probability of abnormal: frames (dots), verdict (diamond) with its 90 % interval")
    axis.set_title("Held-out clips: normal (green), abnormal (brown)", fontsize=10)


def _checks(axis: Any, refused: Mapping[str, Mapping[str, Any]]) -> None:
    kinds = list(refused)[::-1]
    left = np.zeros(len(kinds))
    for reason, colour in REASON_COLOURS.items():
        widths = np.array([refused[kind].get(reason, 0.0) for kind in kinds])
        axis.barh(range(len(kinds)), widths, left=left, color=colour, label=reason)
        left += widths
    names = {"train": "lung clips, training", "calibration": "lung clips, calibration", "val": "lung clips, held out"}
    axis.set_yticks(range(len(kinds)), [f"{names.get(kind, kind)} ({refused[kind]['frames']})" for kind in kinds], fontsize=8)
    axis.set_xlim(0, 1.02)
    axis.set_xlabel("share of frames that don't count (in brackets: of how many)")
    axis.set_title("What the checks refuse", fontsize=10)
    axis.legend(loc="upper right", fontsize=8)
