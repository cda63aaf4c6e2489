"""The picture of benchmarks/streams.py, drawn from its JSON alone."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#2e6e4e", "#b5651d", "#3b6ea5", "#8a3b8f", "#777777")
CAMERA_FPS = 30


def plot(report: dict[str, Any], path: Path) -> None:
    """Six panels; one whose scenario hasn't run says so."""
    figure, axes = plt.subplots(2, 3, figsize=(15, 8.4), constrained_layout=True)
    machine, scenarios = report["machine"], report["scenarios"]
    quick = " (a quick run: short, only a hint)" if any(one["quick"] for one in scenarios.values()) else ""
    figure.suptitle(f"Live streams: {machine['cores']} cores of {machine['processor']}; senders and gateway on one machine{quick}", fontsize=11)
    panels = (
        ("streams", "Age of answers, 1 to 8 streams of 30 fps", _ages_by_streams),
        ("streams", "Answered frames a second", _rates_by_streams),
        ("memory", "Memory of the gateway's processes, 8 streams", _memory),
        ("slow_device", "Device slowed tenfold", _slow_device),
        ("lossy_link", "2 Mbit/s, 5 % loss, three outages", _timeline),
        ("neighbours", "Beside bad neighbours and batch work", _neighbours),
    )
    for axis, (name, title, draw) in zip(axes.flat, panels, strict=True):
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        if name in scenarios:
            draw(axis, scenarios)
        else:
            axis.text(0.5, 0.5, f"{name}: not run", ha="center", transform=axis.transAxes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _distribution(axis: Axes, curve_ms: list[float], label: str, colour: str, style: str = "-") -> None:
    axis.plot(curve_ms, range(len(curve_ms)), color=colour, linestyle=style, label=label)


def _finish_distribution(axis: Axes, *shown_ms: float | None) -> None:
    """`shown_ms`: what has to be in the picture; None where nothing was measured."""
    axis.set_xlabel("age of the answer when it arrived, ms")
    axis.set_ylabel("answers no older, %")
    axis.set_xlim(0, 1.2 * max(value or 1.0 for value in shown_ms))
    axis.set_ylim(0, 100)
    axis.legend(loc="lower right", fontsize=8)


def _ages_by_streams(axis: Axes, scenarios: dict[str, Any]) -> None:
    rows = scenarios["streams"]["figures"]["rows"]
    for row, colour in zip(rows, COLOURS, strict=False):
        _distribution(axis, row["age_curve_ms"], f"{row['streams']} stream{'s' if row['streams'] > 1 else ''}", colour)
    _finish_distribution(axis, *(row["age_ms"]["p99"] for row in rows))


def _rates_by_streams(axis: Axes, scenarios: dict[str, Any]) -> None:
    rows = scenarios["streams"]["figures"]["rows"]
    counts = range(len(rows))
    axis.bar(counts, [row["answered_fps_total"] for row in rows], 0.5, color=COLOURS[0], alpha=0.35, label="all streams together")
    for place, row in enumerate(rows):
        rates = row["answered_fps"]
        axis.plot([place] * len(rates), rates, "o", color=COLOURS[1], markersize=5, label="each stream" if not place else None)
        axis.text(place, 0.5, f"Jain {row['fairness']:.3f}", ha="center", fontsize=8)
    axis.axhline(CAMERA_FPS, color=COLOURS[4], linestyle=":", label="sent by each stream")
    axis.set_xticks(list(counts), [str(row["streams"]) for row in rows])
    axis.set_xlabel("streams at once")
    axis.set_ylabel("answered frames a second")
    axis.set_ylim(0, 1.4 * max(CAMERA_FPS, *(row["answered_fps_total"] for row in rows)))
    axis.legend(loc="upper right", fontsize=8)


def _memory(axis: Axes, scenarios: dict[str, Any]) -> None:
    row = scenarios["memory"]["figures"]
    minutes, megabytes = [at / 60 for at, _ in row["memory"]], [value for _, value in row["memory"]]
    axis.plot(minutes, megabytes, color=COLOURS[0], marker=".", markersize=3)
    axis.set_ylim(0, 1.25 * max(megabytes))
    axis.set_xlabel("minutes since the first frame")
    axis.set_ylabel("proportional memory (PSS), MB")
    axis.text(0.03, 0.05, f"second half: {row['slope_mb_per_min']:+.2f} MB a minute", transform=axis.transAxes, fontsize=9)


def _slow_device(axis: Axes, scenarios: dict[str, Any]) -> None:
    row = scenarios["slow_device"]["figures"]
    _distribution(axis, row["usual"]["age_curve_ms"], "usual device", COLOURS[2])
    _distribution(axis, row["age_curve_ms"], f"{row['times_slower']:.1f} times slower", COLOURS[0])
    axis.axvline(row["limit_ms"], color=COLOURS[1], linestyle="--", label="two frame periods + an undisturbed service time")
    _finish_distribution(axis, row["limit_ms"], row["age_ms"]["p99"])


def _timeline(axis: Axes, scenarios: dict[str, Any]) -> None:
    row = scenarios["lossy_link"]["figures"]
    line = row["timeline"]
    for number, (begin, end) in enumerate(row["outages_s"]):
        axis.axvspan(begin, end, color=COLOURS[4], alpha=0.25, label=None if number else "link is out")
    axis.plot([at for at, _ in line["shown"]], [age / 1000 for _, age in line["shown"]], color=COLOURS[2], linewidth=0.8,
              label="shown age")
    axis.plot([at for at, _ in line["answers"]], [age / 1000 for _, age in line["answers"]], ".", color=COLOURS[0], markersize=3,
              label="age of an answer")
    resumes = [at for at, resumed in line["connections"] if resumed]
    axis.plot(resumes, [0.0] * len(resumes), "^", color=COLOURS[1], markersize=7, clip_on=False, label="resumed by token")
    axis.set_xlabel("seconds since the first frame")
    axis.set_ylabel("age, s")
    axis.set_ylim(0, 1.6 * max((age / 1000 for _, age in (*line["shown"], *line["answers"])), default=1.0))
    axis.legend(loc="upper left", fontsize=7, ncols=2, columnspacing=1.0)


def _neighbours(axis: Axes, scenarios: dict[str, Any]) -> None:
    row = scenarios["neighbours"]["figures"]
    drawn = [(row["alone"], "alone"), (row["beside_well_behaved"], "beside a well-behaved stream"),
             (row["beside_slow_reader_and_garbage"], "beside a slow reader and garbage")]
    if "batch" in scenarios:
        drawn.append((scenarios["batch"]["figures"]["beside"], "beside batch work over REST"))
    for (one, label), colour in zip(drawn, COLOURS, strict=False):
        _distribution(axis, one["age_curve_ms"], label, colour)
    _finish_distribution(axis, *(one["age_ms"]["p99"] for one, _ in drawn))
