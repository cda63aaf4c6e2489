"""A report's pictures, with matplotlib where it is installed: size against the main figure, latency, change by class.

Shapes tell kinds of variants apart once more than colours do.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.toolchain.plotting import FLOAT_COLOUR, GREY, INK, INT8_COLOUR, style, write_plot
from edge_runtime.toolchain.report.labels import place
from edge_runtime.toolchain.report.markdown import figure_name, milliseconds, signed
from edge_runtime.toolchain.report.rows import FLOAT32, Report, Row

KINDS: Mapping[str, tuple[str, str, str]] = {
    "clustered": ("#009e73", "D", "clustered"),
    "pruned": ("#0072b2", "^", "pruned"),
    "float": (FLOAT_COLOUR, "o", "float, as trained"),
    "small int8": ("#cc79a7", "v", "pruned or clustered, int8"),
    "int8": (INT8_COLOUR, "s", "int8"),
}
"""Kind of variant to colour, shape and name. Those further down are drawn later and smaller, so that nothing is hidden."""
LARGEST_PT, STEP_PT = 8.0, 0.7


def draw(report: Report, folder: Path) -> list[str]:
    """Writes the plots as PNG and gives their names. Raises PlotsMissing."""
    plots: dict[str, tuple[Callable[[Report, Any], None], float, float]] = {
        "size_accuracy.png": (_size, 7.2, 4.6),
        "latency.png": (_latency, 7.2, 1.5 + 0.34 * len(report.rows)),
        "per_class.png": (_classes, _class_width(report), 1.5 + 0.34 * (len(report.rows) - 1)),
    }
    if len(report.rows) == 1:
        del plots["per_class.png"]
    with style():
        folder.mkdir(parents=True, exist_ok=True)
        for name, (paint, width, height) in plots.items():
            write_plot(folder / name, width, height, partial(paint, report))
    return list(plots)


def kind_of(variant: str) -> str:
    """A key of KINDS."""
    thinned = variant.startswith(("pruned", "clustered"))
    if "int8" in variant:
        return "small int8" if thinned else "int8"
    return variant.partition("_")[0] if thinned else "float"


def _size(report: Report, figure: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis = figure.add_subplot()
    sizes = [row.gzip_bytes for row in report.rows]
    for row, size in zip(report.rows, sizes, strict=True):
        main = row.figures.main
        colour, shape, _ = KINDS[kind_of(row.variant)]
        order = list(KINDS).index(kind_of(row.variant))
        axis.errorbar(size, main.value, yerr=[[main.value - main.low], [main.high - main.value]], color=colour, fmt="none",
                      elinewidth=1.1, capsize=2.5, zorder=2)
        axis.plot(size, main.value, color=colour, marker=shape, markersize=LARGEST_PT - order * STEP_PT,
                  markeredgecolor="white", markeredgewidth=0.6, zorder=3 + 0.1 * order)
    level = report.rows[0].figures.main.value
    axis.axhline(level, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    _size_axis(axis, min(sizes), max(sizes))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.margins(x=0.12, y=0.12)
    axis.set_xlabel("size after gzip (kB, logarithmic)" if max(sizes) < 1e6 else "size after gzip (MB, logarithmic)")
    axis.set_ylabel(f"{figure_name(report.main_figure)}, 95 % interval")
    axis.set_title(f"{report.name}: size and {figure_name(report.main_figure)} "
                   f"({report.cases} cases in {report.groups} groups; dashed: float32)", loc="left")
    _kinds_legend(figure, report)
    place(axis, [(row.variant, row.gzip_bytes, row.figures.main.value) for row in report.rows],
          [(row.gzip_bytes, row.figures.main.low, row.figures.main.high) for row in report.rows], level)


def _size_axis(axis: Any, least: int, most: int) -> None:
    """Logarithmic, with ticks at round numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    unit = 1e3 if most < 1e6 else 1e6
    axis.set_xscale("log")
    low, high = least / 1.35, most * 1.35
    ticks = [step * 10.0**power for power in range(9) for step in (1, 1.5, 2, 3, 5, 7)]
    shown = [tick for tick in ticks if low <= tick <= high]
    axis.xaxis.set_major_locator(FixedLocator(shown))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axis.set_xlim(low, high)


def _kinds_legend(figure: Any, report: Report) -> None:
    from matplotlib.lines import Line2D

    there = {kind_of(row.variant) for row in report.rows}
    handles = [
        Line2D([], [], color=colour, marker=shape, linestyle="none", markersize=6.5, label=name)
        for kind, (colour, shape, name) in KINDS.items() if kind in there
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8.5,
                  handletextpad=0.2)


def _latency(report: Report, figure: Any) -> None:
    axis = figure.add_subplot()
    rows = report.rows[::-1]
    longest = max(row.latency.q3_ms for row in rows)
    for place_, row in enumerate(rows):
        times = row.latency
        axis.barh(place_, times.median_ms, height=0.62, color=KINDS[kind_of(row.variant)][0], zorder=2)
        axis.plot([times.q1_ms, times.q3_ms], [place_, place_], color=INK, linewidth=1.4, solid_capstyle="butt", zorder=3)
        axis.plot([times.q1_ms, times.q3_ms], [place_, place_], color=INK, marker="|", markersize=7, linestyle="none", zorder=3)
        speed = "" if row.variant == FLOAT32 else f"  ({times.speed:.2f}x)"
        axis.annotate(f"{milliseconds(times.median_ms)} ms{speed}", (max(times.median_ms, times.q3_ms), place_), (7, 0),
                      textcoords="offset points", va="center", fontsize=8.5, color=INK)
    axis.set_yticks(range(len(rows)), [row.variant for row in rows])
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_xlim(0, longest * 1.27)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel("milliseconds a run at one thread: median and quartiles (speed against float32)")
    axis.set_title(f"{report.name}: latency on {report.machine.cpu}, {report.runs} runs", loc="left")


def _class_width(report: Report) -> float:
    return max(5.2, 2.4 + 0.72 * len(_labels(report)))


def _labels(report: Report) -> list[str]:
    return list(report.rows[0].figures.classes)


def _classes(report: Report, figure: Any) -> None:
    """Change by class: a cell each, bold where its interval leaves out 0."""
    axis = figure.add_subplot()
    rows = [row for row in report.rows if row.variant != FLOAT32]
    labels = _labels(report)
    changes = np.array([[100 * _change(row, label) for label in labels] for row in rows])
    most = max(1.0, float(np.nanmax(np.abs(changes), initial=0)))
    shown = axis.imshow(changes, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    for at, row in enumerate(rows):
        for column, label in enumerate(labels):
            if (found := row.figures.classes.get(label)) is None:
                continue
            sure = found.change.low > 0 or found.change.high < 0
            dark = abs(100 * found.change.value) > 0.6 * most
            axis.text(column, at, signed(found.change.value), ha="center", va="center", fontsize=8.5,
                      color="white" if dark else INK, fontweight="bold" if sure else "normal")
    cases = [report.rows[0].figures.classes[label].cases for label in labels]
    axis.set_xticks(range(len(labels)), [f"{label}\n{count}" for label, count in zip(labels, cases, strict=True)], fontsize=8.5)
    axis.set_yticks(range(len(rows)), [row.variant for row in rows])
    axis.set_xticks(np.arange(1, len(labels)) - 0.5, minor=True)
    axis.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axis.grid(visible=False)
    axis.grid(visible=True, which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("class, and cases that its figure rests on")
    axis.set_title(f"{report.name}: change by class against float32 (bold: the interval leaves out 0)", loc="left", fontsize=9)
    bar = figure.colorbar(shown, ax=axis, pad=0.02, aspect=max(6, 5 * len(rows)))
    bar.set_label("points", fontsize=8.5)
    bar.outline.set_visible(False)


def _change(row: Row, label: str) -> float:
    found = row.figures.classes.get(label)
    return float("nan") if found is None else found.change.value
