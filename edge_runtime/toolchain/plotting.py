"""The one look of the toolchain's plots, with matplotlib where it is installed. Colours are those of Okabe and Ito (2008), which
people who don't see red or green can tell apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DPI = 160
STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.7, "xtick.color": "#333333", "ytick.color": "#333333",
}
INK, GREY = "#1a1a1a", "#8a8a8a"
INT8_COLOUR, FLOAT_COLOUR = "#d55e00", "#56b4e9"


class PlotsMissing(Exception):
    """matplotlib isn't installed; the message says how to get it."""


@contextmanager
def style() -> Iterator[None]:
    """Within it plots have our look. Raises PlotsMissing."""
    if find_spec("matplotlib") is None:
        raise PlotsMissing("no plots: matplotlib is not installed; `pip install matplotlib`, or hedgerow[train], brings it")
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def write_plot(path: Path, width: float, height: float, paint: Callable[[Any], None], dpi: int = DPI) -> None:
    """Writes what `paint` puts on a figure of so many inches as PNG, whole or not at all; the same bytes for the same plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure)
    part = path.with_name(f"{path.name}.part")
    figure.savefig(part, format="png", metadata={"Software": None})
    part.replace(path)
