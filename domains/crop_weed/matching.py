"""Which patch of the new frame is which plant of the frames before, once the ground's motion is known."""

from collections.abc import Iterator, Sequence
from math import hypot, log, sqrt
from typing import TypeVar

from domains.crop_weed.motion import Extent, Place

CELLS = 16
SLACK = 0.015
"""Places are known to this share of the frame's diagonal."""
UNLIKE = 1.4
"""Patches seen whole whose areas differ by more than this natural logarithm (4 times) aren't the same plant."""
LEAST = 0.25


Known = TypeVar("Known", bound=Place)


def match(known: Sequence[Known], found: Sequence[Place], size: tuple[int, int]) -> Iterator[tuple[Known, int]]:
    """Pairs of a known plant, at its expected place, and the index of a found one; no one is in two. Best pairs first."""
    expected = [_clipped(plant.extent, size) for plant in known]
    slack = SLACK * hypot(*size)
    pairs = [(likeness, index, other)
             for index, other in _neighbours(expected, found, max(size) / CELLS, slack)
             if (likeness := _likeness(known[index], expected[index], found[other], slack)) > LEAST]
    pairs.sort(key=lambda pair: -pair[0])
    taken: set[int] = set()
    given: set[int] = set()
    for _, index, other in pairs:
        if index not in taken and other not in given:
            taken.add(index)
            given.add(other)
            yield known[index], other


def _neighbours(expected: Sequence[Extent | None], found: Sequence[Place], cell: float,
                slack: float) -> Iterator[tuple[int, int]]:
    """Pairs whose rectangles, grown by `slack`, share a cell."""
    cells: dict[tuple[int, int], list[int]] = {}
    for index, extent in enumerate(expected):
        if extent is not None:
            for key in _covered(extent, cell, slack):
                cells.setdefault(key, []).append(index)
    for other, plant in enumerate(found):
        near = {index for key in _covered(plant.extent, cell, 0) for index in cells.get(key, ())}
        for index in near:
            yield index, other


def _covered(extent: Extent, cell: float, slack: float) -> Iterator[tuple[int, int]]:
    left, top, right, bottom = extent
    for column in range(int((left - slack) // cell), int((right + slack) // cell) + 1):
        for row in range(int((top - slack) // cell), int((bottom + slack) // cell) + 1):
            yield column, row


def _likeness(known: Place, expected: Extent | None, found: Place, slack: float) -> float:
    """How much speaks for one plant; at most 2.2, 0 or less for none."""
    if expected is None or not _touch(expected, found.extent, slack):
        return 0.0
    unlike = log(found.area / known.area)
    if (not known.cut and unlike > UNLIKE) or (not found.cut and unlike < -UNLIKE):
        return 0.0
    shared = _area((max(expected[0], found.extent[0]), max(expected[1], found.extent[1]),
                    min(expected[2], found.extent[2]), min(expected[3], found.extent[3])))
    first, second = _area(expected), _area(found.extent)
    value = shared / (first + second - shared) + 0.5 * shared / min(first, second)
    value += 0.2 * (known.label == found.label)
    if known.cut or found.cut:
        return value if shared else 0.0
    away = hypot(known.x - found.x, known.y - found.y) / (slack + 0.5 * sqrt(max(known.area, found.area)))
    if not shared and away > 1:
        return 0.0
    return value + 0.5 * max(0.0, 1 - away) - 0.25 * abs(unlike)


def _touch(one: Extent, other: Extent, slack: float) -> bool:
    """Whether no gap wider than `slack` lies between them, along either axis."""
    return (one[0] - slack < other[2] and other[0] - slack < one[2]
            and one[1] - slack < other[3] and other[1] - slack < one[3])


def _clipped(extent: Extent, size: tuple[int, int]) -> Extent | None:
    """The part of a rectangle that lies in the picture."""
    left, top = max(0.0, extent[0]), max(0.0, extent[1])
    right, bottom = min(float(size[0]), extent[2]), min(float(size[1]), extent[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _area(extent: Extent) -> float:
    return max(0.0, extent[2] - extent[0]) * max(0.0, extent[3] - extent[1])
