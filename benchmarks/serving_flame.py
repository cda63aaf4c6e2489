"""Sampled stacks as a flame graph: what called what from the bottom up, as wide as the CPU time that was spent in it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

_COLOURS: Mapping[str, str] = {
    "gateway": "#7fbf7b", "edge_runtime": "#67a9cf", "domains": "#fdb863", "protos": "#7fbf7b", "libraries": "#d9d9d9",
}
_LIBRARY = re.compile(r".*/(?:site-packages|python3\.\d+)/")
_OURS = re.compile(r".*/(?=(?:gateway|edge_runtime|domains|protos|serving_domain)/)")
_LEAST = 0.002
"""A share of the width; what is narrower isn't drawn."""
_LETTERS = 165
"""How many fit into the whole width."""
_ROW = 0.21
"""Inches."""


@dataclass(slots=True)
class _Node:
    weight: float = 0.0
    callees: "dict[str, _Node]" = field(default_factory=dict)


def place_of(frame: str) -> tuple[str, str]:
    """Function and file of a frame as py-spy writes it, `NAME (PATH:LINE)`, without where things lie on this machine."""
    name, _, place = frame.partition(" (")
    path = place.rstrip(")").rpartition(":")[0] or place.rstrip(")")
    if _LIBRARY.match(path):
        return name, _LIBRARY.sub("", path)
    return name, _OURS.sub("", path) if _OURS.match(path) else Path(path).name


def draw(stacks: Mapping[str, Iterable[tuple[str, float]]], out: Path) -> None:
    """Writes a PNG. `stacks`: for each process its stacks, frames with ; between them and the outermost first, each with its CPU
    time in ms.
    """
    whole = _Node()
    for process, rows in stacks.items():
        for stack, weight in rows:
            node = whole
            node.weight += weight
            for frame in (process, *stack.split(";")):
                node = node.callees.setdefault(frame if frame == process else "\n".join(place_of(frame)), _Node())
                node.weight += weight
    depth = _depth(whole, whole.weight * _LEAST)
    figure, axes = plt.subplots(figsize=(15, 1.2 + _ROW * depth), constrained_layout=True)
    _draw(axes, whole, 0.0, 0, whole.weight)
    axes.set(xlim=(0, whole.weight), ylim=(0, depth), xlabel="CPU, ms a request", yticks=[])
    shown = ("gateway", "edge_runtime", "domains", "libraries")
    axes.legend(handles=[Patch(color=_COLOURS[name], label=name) for name in shown], loc="upper right")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def _draw(axes: Axes, node: _Node, left: float, level: int, width: float) -> None:
    for label, callee in sorted(node.callees.items(), key=lambda item: -item[1].weight):
        if callee.weight < width * _LEAST:
            continue
        name, _, path = label.partition("\n")
        package = path.partition("/")[0] if path else "libraries"
        colour = _COLOURS.get("domains" if package == "serving_domain" else package, _COLOURS["libraries"])
        axes.add_patch(Rectangle((left, level), callee.weight, 1, facecolor=colour, edgecolor="white", linewidth=0.4))
        letters = int(callee.weight / width * _LETTERS)
        if letters > 3:
            text = f"{name} ({path})" if path and len(name) + len(path) + 3 <= letters else name
            axes.text(left + 0.002 * width, level + 0.5, text[:letters], fontsize=7, va="center", clip_on=True)
        _draw(axes, callee, left, level + 1, width)
        left += callee.weight


def _depth(node: _Node, least: float) -> int:
    return max((1 + _depth(callee, least) for callee in node.callees.values() if callee.weight >= least), default=0)
