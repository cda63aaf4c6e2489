"""How a verdict went over time, in a bounded number of points however long it goes on."""

from collections.abc import Iterator
from dataclasses import dataclass

MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Point:
    """Some frames in a row, from `time_s` on. `smoothed`: the smoothed probability of each label after the last of them,
    empty before the first usable frame.
    """

    time_s: float
    frames: int
    usable: int
    smoothed: tuple[float, ...]


class Timeline:
    """At most 200 points of as many frames each; when they are full, neighbours are joined."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._frames_each = 1

    def __iter__(self) -> Iterator[Point]:
        return iter(self._points)

    def add(self, time_s: float, smoothed: tuple[float, ...], *, usable: bool) -> None:
        """Takes the next frame."""
        point = Point(time_s, 1, int(usable), smoothed)
        if self._points and self._points[-1].frames < self._frames_each:
            self._points[-1] = _joined(self._points[-1], point)
            return
        if len(self._points) >= MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [_joined(first, second) for first, second in pairs]
            self._frames_each *= 2
        self._points.append(point)


def _joined(first: Point, second: Point) -> Point:
    return Point(first.time_s, first.frames + second.frames, first.usable + second.usable, second.smoothed)
