"""The picture of how far a model's probabilities can be trusted: reliability, and accuracy against the share answered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.toolchain.plotting import FLOAT_COLOUR, GREY, INT8_COLOUR, style, write_plot

PLOT_DPI = 100
_LARGEST_PT2 = 160.0
_LOOKS = {"int8": (INT8_COLOUR, "s", "-"), "float32": (FLOAT_COLOUR, "o", "--")}

Calibrations = Mapping[str, Mapping[str, Any]]


def draw(name: str, calibrations: Calibrations, answered: Mapping[str, float], path: Path) -> None:
    """Writes the PNG. `calibrations`: variant to what `evaluate` says under `calibration`; `answered`: the share that each
    variant answers at the package's own threshold. Raises PlotsMissing.
    """
    def paint(figure: Any) -> None:
        reliability, curve = figure.subplots(1, 2, width_ratios=(1, 1.15))
        _reliability(reliability, calibrations)
        _curve(curve, calibrations, answered)
        figure.suptitle(name, x=0.01, ha="left", fontsize=10)

    with style():
        write_plot(path, 8.2, 3.7, paint, PLOT_DPI)


def _reliability(axis: Any, calibrations: Calibrations) -> None:
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for variant, calibration in calibrations.items():
        colour, shape, _ = _LOOKS[variant]
        bins = calibration["bins"]
        most = max(row["cases"] for row in bins)
        said, right = [row["probability"] for row in bins], [row["accuracy"] for row in bins]
        axis.scatter(said, right, s=[16 + _LARGEST_PT2 * row["cases"] / most for row in bins], color=colour, marker=shape,
                     alpha=0.75, linewidths=0.6, edgecolors="white", label=variant, zorder=3)
    axis.set_xlim(-0.02, 1.04)
    axis.set_ylim(-0.04, 1.06)
    axis.set_xlabel("probability said (mark: by number of cases)")
    axis.set_ylabel("share that was right")
    axis.set_title("Reliability, 15 bins of equal width", loc="left")
    for handle in axis.legend(loc="upper left", frameon=False, fontsize=8.5).legend_handles:
        handle.set_sizes([36])


def _curve(axis: Any, calibrations: Calibrations, answered: Mapping[str, float]) -> None:
    from matplotlib.ticker import PercentFormatter

    for variant, calibration in calibrations.items():
        colour, shape, line = _LOOKS[variant]
        shares = [point["answered"] for point in calibration["curve"]]
        accuracies = [point["accuracy"] for point in calibration["curve"]]
        axis.step(shares, accuracies, where="post", color=colour, linestyle=line, linewidth=1.4, label=variant, zorder=2)
        at = min(range(len(shares)), key=lambda index: abs(shares[index] - answered[variant]))
        axis.plot(shares[at], accuracies[at], color=colour, marker=shape, markersize=8, markeredgecolor="black", zorder=3)
    axis.set_xlim(0, 1.02)
    axis.margins(y=0.12)
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_xlabel("share answered, surest first (mark: this package's threshold)")
    axis.set_ylabel("accuracy among the answered")
    axis.set_title("What leaving unsure cases open gains", loc="left")
    axis.legend(loc="lower left", frameon=False, fontsize=8.5)
