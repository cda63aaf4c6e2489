"""How the ground moved between two frames of a camera that looks down on it, told by the plants themselves.

Pairs of like plants vote for displacements; the best candidates, and what the speed so far leads one to expect, are
compared by how many plants they bring onto plants; a similarity (turn, scale, shift) is fitted to those. Of a plant that the
picture's border cuts, the sides that are seen vote. Plain Python: this runs where no numpy is loaded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Protocol

LEFT, TOP, RIGHT, BOTTOM = 1, 2, 4, 8
"""Sides of a plant that the picture's border cuts, added up."""

ANCHORS, TARGETS = 32, 48
"""So many of the largest plants of the frame before and of the new one vote."""
LIKE = 0.8
"""Two patches that differ by more (natural logarithms of areas and sides) aren't the same plant for a vote."""
LEAST_RATIO = exp(-LIKE)
VOTE_CELLS = 40
"""Votes are gathered in cells of the frame's longer side over this."""
REACH = 1.5
"""Votes that lie no more cells than this from a displacement speak for it."""
CANDIDATES = 6
CUT_WEIGHT = 0.5
ABSENT_COST = 0.4
"""What a plant that should be in the picture and isn't takes away, against 1 for one that is."""
PRIOR_WEIGHT = 0.2
CLEAR, CLEAR_PAIRS = 0.5, 4
"""Where the expected motion brings so many plants together, with so little against it, no other is looked for."""
STEEPEST = 0.15
"""A turn (radians) or change of scale above this between two frames is taken for a wrong fit."""

Extent = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; the last two excluded."""


class Place(Protocol):
    """A plant at a place."""

    @property
    def x(self) -> float:
        """Of the centroid, as `y`; pixels."""

    @property
    def y(self) -> float:
        """See `x`."""

    @property
    def extent(self) -> Extent:
        """What it fills."""

    @property
    def area(self) -> float:
        """Pixels."""

    @property
    def label(self) -> str:
        """Its class."""

    @property
    def cut(self) -> int:
        """The sides at which the picture's border cuts it; 0 for a plant that is seen whole."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Takes a point of the frame before to the frame now: `(a x - b y + dx, b x + a y + dy)`, in pixels."""

    dx: float
    dy: float
    a: float = 1.0
    b: float = 0.0

    def move(self, x: float, y: float) -> tuple[float, float]:
        """Where the ground at (x, y) is now."""
        return self.a * x - self.b * y + self.dx, self.b * x + self.a * y + self.dy


@dataclass(frozen=True, slots=True)
class Expected:
    """The displacement that the speed so far leads one to expect. `most`: how far it goes at the greatest speed of late, in
    pixels. `trust`: how far to believe it, 0..1.
    """

    dx: float
    dy: float
    most: float
    trust: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`pairs`: how many plants it rests on; 0 where it is what was expected."""

    motion: Motion
    pairs: int


@dataclass(frozen=True, slots=True)
class _Pair:
    """Maybe the same plant: `before` at (x, y) moved by (dx, dy)."""

    before: int
    x: float
    y: float
    dx: float
    dy: float
    weight: float


def estimate(before: Iterable[Place], now: Iterable[Place], size: tuple[int, int],
             expected: Expected | None) -> Estimate | None:
    """The motion of the ground, or None where the plants don't tell and nothing was expected.

    `before`: plants where they were in the frame before. `size`: width and height of both frames.
    """
    anchors = sorted(before, key=lambda place: -place.area)[:ANCHORS]
    targets = sorted(now, key=lambda place: -place.area)[:TARGETS]
    if expected is not None:
        ballot = _Ballot(anchors, targets, size, expected)
        pairs, value = ballot.support(expected.dx, expected.dy)
        if len(pairs) >= CLEAR_PAIRS and value >= CLEAR * sum(pair.weight for pair in pairs):
            return Estimate(_towards(expected, ballot.refined(pairs), len(pairs), size), len(pairs))
    ballot = _Ballot(anchors, targets, size)
    everything = sum(sqrt(place.area) for place in anchors) or 1.0
    best: list[_Pair] = []
    best_value = 0.0
    for dx, dy in [*([(expected.dx, expected.dy)] if expected else []), (0.0, 0.0), *ballot.peaks()]:
        pairs, value = ballot.support(dx, dy)
        value -= PRIOR_WEIGHT * everything * _surprise(dx, dy, expected, hypot(*size))
        if pairs and value > best_value:
            best, best_value = pairs, value
    if best:
        return Estimate(_towards(expected, ballot.refined(best), len(best), size), len(best))
    return Estimate(Motion(expected.dx, expected.dy), 0) if expected else None


class _Ballot:
    """All pairs of like plants, by the cell of their displacement; or those that moved about as `expected` alone."""

    def __init__(self, before: Sequence[Place], now: Sequence[Place], size: tuple[int, int],
                 expected: Expected | None = None) -> None:
        self._before = before
        self._size = size
        self.cell = max(size) / VOTE_CELLS
        self._cells: dict[tuple[int, int], list[_Pair]] = {}
        for index, place in enumerate(before):
            for other in now:
                if expected and not place.cut and not other.cut and (
                        abs(other.x - place.x - expected.dx) > 2 * REACH * self.cell
                        or abs(other.y - place.y - expected.dy) > 2 * REACH * self.cell):
                    continue
                pair = _pair(index, place, other)
                if pair is not None:
                    self._cells.setdefault((round(pair.dx / self.cell), round(pair.dy / self.cell)), []).append(pair)

    def near(self, dx: float, dy: float) -> Iterator[tuple[float, _Pair]]:
        """The pairs that speak for a displacement, and how many cells they are off."""
        column, row = round(dx / self.cell), round(dy / self.cell)
        for right in (-2, -1, 0, 1, 2):
            for down in (-2, -1, 0, 1, 2):
                for pair in self._cells.get((column + right, row + down), ()):
                    away = hypot(pair.dx - dx, pair.dy - dy) / self.cell
                    if away <= REACH:
                        yield away, pair

    def peaks(self) -> list[tuple[float, float]]:
        """The displacements that most pairs vote for, the best first."""
        fullest = sorted(self._cells.values(), key=lambda pairs: -sum(pair.weight for pair in pairs))[: 3 * CANDIDATES]
        gathered = []
        for own in fullest:
            pairs = [pair for _, pair in self.near(*_mean(own))]
            gathered.append((sum(pair.weight for pair in pairs), _mean(pairs or own)))
        gathered.sort(key=lambda found: -found[0])
        peaks: list[tuple[float, float]] = []
        for _, mean in gathered:
            if all(hypot(mean[0] - x, mean[1] - y) > self.cell for x, y in peaks):
                peaks.append(mean)
        return peaks[:CANDIDATES]

    def support(self, dx: float, dy: float) -> tuple[list[_Pair], float]:
        """The best pair of each plant for a displacement, and what they are worth less the plants that should be seen."""
        chosen: dict[int, tuple[float, _Pair]] = {}
        for away, pair in self.near(dx, dy):
            worth = pair.weight * (1 - away / 2 / REACH)
            if pair.before not in chosen or worth > chosen[pair.before][0]:
                chosen[pair.before] = (worth, pair)
        absent = sum(sqrt(self._before[index].area) for index in self._shown(dx, dy) if index not in chosen)
        return [pair for _, pair in chosen.values()], sum(worth for worth, _ in chosen.values()) - ABSENT_COST * absent

    def refined(self, pairs: Sequence[_Pair]) -> Motion:
        """The similarity that fits best, looking for pairs again with each better motion."""
        motion = Motion(*_centre(pairs))
        around = [pair for _, pair in self.near(motion.dx, motion.dy)]
        for _ in range(3):
            motion = _fitted(motion, pairs, hypot(*self._size), self.cell)
            nearest: dict[int, tuple[float, _Pair]] = {}
            for pair in around:
                miss = _miss(motion, pair)
                if miss < self.cell and miss < nearest.get(pair.before, (self.cell, pair))[0]:
                    nearest[pair.before] = (miss, pair)
            pairs = [pair for _, pair in nearest.values()] or pairs
        return _fitted(motion, pairs, hypot(*self._size), self.cell)

    def _shown(self, dx: float, dy: float) -> Iterator[int]:
        """The plants that the picture would show whole after such a step."""
        for index, place in enumerate(self._before):
            left, top, right, bottom = place.extent
            if left + dx > 0 and top + dy > 0 and right + dx < self._size[0] and bottom + dy < self._size[1]:
                yield index


def _pair(index: int, place: Place, other: Place) -> _Pair | None:
    """The two as one plant that moved, or None where they are too different or too little of them is seen."""
    unlike, cut = 0.0, place.cut | other.cut
    if not cut:
        if not LEAST_RATIO < other.area / place.area < 1 / LEAST_RATIO:
            return None
        unlike = abs(log(other.area / place.area))
    moved = []
    for low, high, low_cut, high_cut, centre, other_centre in (
            (0, 2, LEFT, RIGHT, place.x, other.x), (1, 3, TOP, BOTTOM, place.y, other.y)):
        begin, end = other.extent[low] - place.extent[low], other.extent[high] - place.extent[high]
        if not cut & (low_cut | high_cut):
            unlike += abs(log((other.extent[high] - other.extent[low]) / (place.extent[high] - place.extent[low]))) / 2
            moved.append((begin + end) / 2 if cut else other_centre - centre)
        elif not cut & low_cut:
            moved.append(begin)
        elif not cut & high_cut:
            moved.append(end)
        else:
            return None
    if unlike > LIKE:
        return None
    weight = sqrt(min(place.area, other.area)) * exp(-2 * unlike)
    weight *= (CUT_WEIGHT if cut else 1.0) * (1.0 if place.label == other.label else 0.4)
    return _Pair(index, place.x, place.y, moved[0], moved[1], weight)


def _surprise(dx: float, dy: float, expected: Expected | None, diagonal: float) -> float:
    """0 for what was to be expected up to 1; where nothing can be expected, the shorter the better."""
    length = min(1.0, hypot(dx, dy) / diagonal)
    if expected is None:
        return length
    spread = 0.35 * expected.most + 0.04 * diagonal
    off = min(1.0, (hypot(dx - expected.dx, dy - expected.dy) / spread) ** 2 / 4)
    return expected.trust * off + (1 - expected.trust) * length


def _towards(expected: Expected | None, found: Motion, pairs: int, size: tuple[int, int]) -> Motion:
    """`found`, drawn towards what was expected where few pairs speak: as two measurements of known spread are joined."""
    if expected is None or pairs > 3:
        return found
    x, y = found.move(size[0] / 2, size[1] / 2)
    off_x, off_y = expected.dx + size[0] / 2 - x, expected.dy + size[1] / 2 - y
    spread = (0.1 * hypot(expected.dx, expected.dy) + 0.006 * hypot(*size)) / max(expected.trust, 0.1)
    if hypot(off_x, off_y) > 4 * spread:
        return found
    own = (0.01 * hypot(*size)) ** 2 / pairs
    share = own / (own + spread**2)
    return Motion(found.dx + share * off_x, found.dy + share * off_y, found.a, found.b)


def _mean(pairs: Sequence[_Pair]) -> tuple[float, float]:
    total = sum(pair.weight for pair in pairs)
    return sum(pair.weight * pair.dx for pair in pairs) / total, sum(pair.weight * pair.dy for pair in pairs) / total


def _centre(pairs: Sequence[_Pair]) -> tuple[float, float]:
    """The weighted median displacement."""
    return (_median([(pair.dx, pair.weight) for pair in pairs]), _median([(pair.dy, pair.weight) for pair in pairs]))


def _median(values: list[tuple[float, float]]) -> float:
    half, passed = sum(weight for _, weight in values) / 2, 0.0
    for value, weight in sorted(values):
        passed += weight
        if passed >= half:
            return value
    raise ValueError("no values")


def _miss(motion: Motion, pair: _Pair) -> float:
    x, y = motion.move(pair.x, pair.y)
    return hypot(pair.x + pair.dx - x, pair.y + pair.dy - y)


def _fitted(motion: Motion, pairs: Sequence[_Pair], diagonal: float, cell: float) -> Motion:
    """Least squares over the pairs that `motion` fits best, drawn towards a pure shift where they lie close together."""
    misses = sorted((_miss(motion, pair), index) for index, pair in enumerate(pairs))
    limit = max(0.25 * cell, 2.5 * misses[len(misses) // 2][0])
    kept = [pairs[index] for miss, index in misses if miss <= limit]
    if len(kept) < 4:
        return Motion(*_centre(kept))
    total = sum(pair.weight for pair in kept)
    from_x, from_y = sum(pair.weight * pair.x for pair in kept) / total, sum(pair.weight * pair.y for pair in kept) / total
    mean_x, mean_y = _mean(kept)
    along = across = 0.0
    spread = total * (0.05 * diagonal) ** 2
    for pair in kept:
        x, y, dx, dy = pair.x - from_x, pair.y - from_y, pair.dx - mean_x, pair.dy - mean_y
        along += pair.weight * (x * dx + y * dy)
        across += pair.weight * (x * dy - y * dx)
        spread += pair.weight * (x * x + y * y)
    grown, turn = along / spread, across / spread
    if max(abs(grown), abs(turn)) > STEEPEST:
        return Motion(*_centre(kept))
    a, b = 1 + grown, turn
    to_x, to_y = from_x + mean_x, from_y + mean_y
    return Motion(to_x - a * from_x + b * from_y, to_y - b * from_x - a * from_y, a, b)
