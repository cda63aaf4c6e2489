"""The difference along the graph as a picture."""

from importlib.util import find_spec
from pathlib import Path

from edge_runtime.toolchain.parity.report import Parity, Tensors

_TOP_DB = 100.0
"""The most that is drawn."""
_SAME_ABOVE = 6.0
"""Operators without any difference are drawn so far above all others."""
_LEAST_TICKS = 30


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(parity: Parity, tensors: Tensors, path: Path) -> None:
    """A PNG of the SQNR by operator: at its end, and by itself."""
    from matplotlib.figure import Figure

    ops = tensors.ops
    known = [value for op in ops for value in (op.end_db, op.own_db) if value is not None]
    top = min(_TOP_DB, max(known, default=_TOP_DB) + _SAME_ABOVE)
    end, own = ([_shown(value, top) for value in values] for values in ([op.end_db for op in ops], [op.own_db for op in ops]))
    places = list(range(len(ops)))
    figure = Figure(figsize=(max(8.0, len(ops) * 0.17), 5.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(places, end, color="#1f6f8b", marker="o", markersize=3, label="at its end")
    axes.plot(
        places, own, color="#d17a22", marker="s", markersize=3, linewidth=0.8, label="by itself"
    )
    axes.axhline(tensors.end_bound_db, color="#1f6f8b", linestyle=":", linewidth=1)
    axes.axhline(tensors.own_bound_db, color="#d17a22", linestyle=":", linewidth=1)
    if tensors.parting is not None:
        place = tensors.parting.place
        axes.axvline(place, color="#b3261e", linewidth=1)
        axes.annotate(
            f"parts at {ops[place].op} {ops[place].a}", (place, 1), xycoords=("data", "axes fraction"), xytext=(4, -12),
            textcoords="offset points", color="#b3261e",
        )
    stride = max(1, len(ops) // _LEAST_TICKS // 2)
    axes.set_xticks(places[::stride], [f"{ops[i].a} {ops[i].layer or ops[i].op.lower()}" for i in places[::stride]], rotation=90, fontsize=6)
    axes.set_xlim(-0.5, len(ops) - 0.5)
    axes.set_ylim(min(0.0, *end, *own) - 1, top + _SAME_ABOVE / 2)
    axes.set_ylabel("signal to difference, dB")
    axes.set_title(f"{parity.a.text} and {parity.b.text}, {tensors.inputs} inputs", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left", fontsize=8)
    part = path.with_name(path.name + ".part")
    figure.savefig(part, dpi=140, format="png")
    part.replace(path)


def _shown(value: float | None, top: float) -> float:
    return top if value is None else min(top, value)
