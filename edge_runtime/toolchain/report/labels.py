"""Names beside points that lie close together: each is put where it hides the least."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

DISTANCES_PT = (7.0, 16.0, 26.0, 38.0, 52.0, 68.0)
DIRECTIONS = 16
_POINT_PX = 7.0
_FAR = 0.35
"""What a point of distance costs, in square pixels of a name that may be hidden, times the name's height."""
_HIDDEN = 10.0
_LEADER_PT = 12.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the canvas, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """Square pixels of both."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def place(axis: Any, points: Sequence[tuple[str, float, float]], bars: Sequence[tuple[float, float, float]],
          level: float) -> None:
    """Writes each point's name near it, with a thin line where it had to move away. `points`: name, x, y. `bars`: x and both
    ends of what is drawn upright through a point, and `level` the height of a line across, which names should leave free.
    """
    from matplotlib.patheffects import withStroke

    figure = axis.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    to_canvas = axis.transData.transform
    frame = axis.get_window_extent(renderer)
    inside = Box(frame.x0, frame.y0, frame.x1, frame.y1)
    taken = [Box(x - _POINT_PX, y - _POINT_PX, x + _POINT_PX, y + _POINT_PX)
             for x, y in (to_canvas((x, y)) for _, x, y in points)]
    for x, low, high in bars:
        (left, bottom), (_, top) = to_canvas((x, low)), to_canvas((x, high))
        taken.append(Box(left - 2, bottom, left + 2, top))
    across = to_canvas((1, level))[1]
    taken.append(Box(inside.left, across - 2, inside.right, across + 2))
    pixels = figure.dpi / 72
    for name, x, y in sorted(points, key=lambda point: -point[2]):
        note = axis.annotate(name, (x, y), fontsize=8, color="#1a1a1a", zorder=4)
        extent = note.get_window_extent(renderer)
        note.remove()
        middle = to_canvas((x, y))
        box, right, up, away = min(
            _candidates(middle, extent.width, extent.height, pixels),
            key=lambda found: _cost(found[0], taken, inside) + _FAR * found[3] * extent.height,
        )
        taken.append(box)
        line = {"arrowstyle": "-", "color": "#8a8a8a", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
        axis.annotate(name, (x, y), (right, up), textcoords="offset points", fontsize=8, color="#1a1a1a", zorder=4,
                      ha="center", va="center", arrowprops=line if away > _LEADER_PT else None,
                      path_effects=[withStroke(linewidth=2.4, foreground="white")])


def _candidates(middle: Sequence[float], width: float, height: float, pixels: float,
                ) -> Iterator[tuple[Box, float, float, float]]:
    """Boxes around a point, with their middle's offset from it in points, and the distance."""
    for away in DISTANCES_PT:
        for number in range(DIRECTIONS):
            angle = 2 * pi * number / DIRECTIONS
            x = cos(angle) * (away * pixels + width / 2)
            y = sin(angle) * (away * pixels + height / 2)
            left, bottom = middle[0] + x - width / 2, middle[1] + y - height / 2
            yield Box(left - 1, bottom - 1, left + width + 1, bottom + height + 1), x / pixels, y / pixels, away


def _cost(box: Box, taken: Sequence[Box], inside: Box) -> float:
    """Square pixels that the box hides or that lie outside of the plot, which count five times."""
    area = (box.right - box.left) * (box.top - box.bottom)
    return sum(box.shared(other) for other in taken) * _HIDDEN + 5 * _HIDDEN * (area - box.shared(inside))
