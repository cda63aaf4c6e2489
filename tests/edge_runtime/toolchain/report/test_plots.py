"""Plots of many variants: every name can be read."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from edge_runtime.toolchain.report.labels import place
from edge_runtime.toolchain.report.plots import KINDS, draw, kind_of
from edge_runtime.toolchain.variants import NAMES
from tests.edge_runtime.toolchain.report.made_reports import report, row


def extents(axis: Any) -> list[Any]:
    """Of the names, without the lines to their points."""
    renderer = axis.figure.canvas.get_renderer()
    return [Text.get_window_extent(text, renderer) for text in axis.texts]


def test_names_of_points_that_lie_close_together_dont_hide_each_other() -> None:
    figure = Figure(figsize=(7, 4.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    points = [(name, 1.0 + 0.02 * (number % 4), 0.8 + 0.004 * (number // 4)) for number, name in enumerate(NAMES)]
    axis.set_xlim(0.5, 1.6)
    axis.set_ylim(0.7, 0.9)
    place(axis, points, [(x, y - 0.05, y + 0.05) for _, x, y in points], 0.8)
    figure.draw_without_rendering()
    assert sorted(text.get_text() for text in axis.texts) == sorted(NAMES)
    frame = axis.get_window_extent()
    for one, other in combinations(extents(axis), 2):
        assert not one.overlaps(other)
    for box in extents(axis):
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1


def test_every_variant_has_a_kind_that_says_what_was_done_to_it() -> None:
    assert {name: kind_of(name) for name in NAMES} == {
        "float32": "float", "float16": "float", "dynamic_range": "float", "int8": "int8", "qat_int8": "int8",
        "pruned_50": "pruned", "pruned_80": "pruned", "pruned_80_int8": "small int8", "pruned_80_qat_int8": "small int8",
        "clustered_32": "clustered", "clustered_16": "clustered", "clustered_16_int8": "small int8",
    }
    assert len({colour for colour, _, _ in KINDS.values()}) == len({shape for _, shape, _ in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_plots_are_drawn_for_any_number_of_variants(tmp_path: Path, count: int) -> None:
    rows = [row(name, size=4_000_000 - 200_000 * number, classes={"a": -0.02 * number, "b": 0.01}) for number, name in enumerate(NAMES)]
    drawn = draw(report(*rows[:count]), tmp_path)
    assert drawn == ["size_accuracy.png", "latency.png", "per_class.png"][: 2 if count == 1 else 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(drawn)
