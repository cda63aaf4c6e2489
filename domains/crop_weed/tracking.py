"""Plants followed from frame to frame over moving ground, so that each is counted once. Plain Python, no numpy.

The ground is rigid: once its motion is known (motion.py), a plant's place is known in every frame whether it was found
there or not. What counts is therefore decided by vote: a patch is a plant of its own where it was found on its own in a
good share of the frames that showed its place. A patch that flickers, a leaf that is joined to its plant in most frames,
and a plant that falls apart in a few don't add up to more plants; a plant that is called crop in one frame and weed in the
next is one plant, of the class that it was called most.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from domains.crop_weed.matching import match
from domains.crop_weed.motion import Estimate, Expected, Extent, Motion, estimate

CUT_WEIGHT = 0.25
"""What a frame that shows a plant only in part says of it, against 1."""
COUNTED_FROM = 0.3
"""From this share of the frames that showed its place on, a patch is a plant of its own; see docs/plant-tracking.md."""
SEEN_ENOUGH = 2
"""A plant whose place more than so many frames showed must have been found in so many."""
LONGEST_HISTORY = 64
MOST_TRACKS = 2000
STALE = 3
"""A plant that was missed so often in a row says nothing of the motion."""
FEW = 4
"""Plants; from so many on, none of which is found again, the ground is new."""
LOST_S = 1.0
"""After so long without a frame nothing is expected any more: without plants that tell, the ground is new."""
FORGET = 0.8
"""What is left of the greatest speed after a second."""
MARGIN = 0.1
"""A plant that is further out of the picture than this share of its size has gone."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One patch of one frame, in pixels; see motion.Place."""

    label: str
    score: float
    x: float
    y: float
    area: float
    extent: Extent
    cut: int


class Track:
    """One patch of ground vegetation over time. `x`, `y` and `extent` are where it is in the newest frame, seen or not;
    `last` is how it was seen last; `label` is the class that it was called most.
    """

    __slots__ = ("_votes", "area", "cut", "extent", "first_frame", "id", "label", "last", "last_frame", "missing", "seen",
                 "seen_weight", "view_weight", "views", "x", "y")

    def __init__(self, number: int, frame: int, plant: Plant) -> None:
        self.id = number
        self.first_frame = self.last_frame = frame
        self.seen = self.views = self.missing = 0
        self.seen_weight = self.view_weight = 0.0
        self._votes: dict[str, list[float]] = {plant.label: [0.0, 0.0]}
        self.label = plant.label
        self.last = plant
        self.x, self.y, self.area, self.extent, self.cut = plant.x, plant.y, plant.area, plant.extent, plant.cut

    @property
    def score(self) -> float:
        """The mean score of the frames that called it `label`."""
        weight, scores = self._votes[self.label]
        return scores / weight

    @property
    def is_plant(self) -> bool:
        """Whether it counts: found often enough, in number and in share."""
        often = self.seen >= SEEN_ENOUGH or self.views <= SEEN_ENOUGH
        return often and self.seen_weight >= COUNTED_FROM * self.view_weight

    def see(self, frame: int, plant: Plant) -> None:
        """It was found as `plant`."""
        weight = CUT_WEIGHT if plant.cut else 1.0
        vote = self._votes.setdefault(plant.label, [0.0, 0.0])
        vote[0] += weight
        vote[1] += weight * plant.score
        if vote[0] > self._votes[self.label][0]:
            self.label = plant.label
        self.seen += 1
        self.seen_weight += weight
        self.look(weight)
        self.missing = 0
        self.last, self.last_frame = plant, frame
        self.x, self.y, self.area, self.extent, self.cut = plant.x, plant.y, plant.area, plant.extent, plant.cut

    def look(self, weight: float) -> None:
        """A frame showed its place."""
        self.views += 1
        self.view_weight += weight

    def move(self, motion: Motion) -> None:
        """Goes with the ground."""
        x, y = motion.move(self.x, self.y)
        left, top, right, bottom = self.extent
        scale = hypot(motion.a, motion.b)
        self.extent = (x + (left - self.x) * scale, y + (top - self.y) * scale,
                       x + (right - self.x) * scale, y + (bottom - self.y) * scale)
        self.x, self.y, self.area = x, y, self.area * scale * scale


class Tracker:
    """Takes frame after frame. `live`: the tracks that may still be seen. At most MOST_TRACKS are held."""

    def __init__(self) -> None:
        self.live: list[Track] = []
        self._size = (0, 0)
        self._time_s = 0.0
        self._speed: tuple[float, float] | None = None
        self._step = (0.0, 0.0)
        self._trust = self._fastest = 0.0
        self._windows: deque[tuple[float, float]] = deque(maxlen=LONGEST_HISTORY)
        """Where in the newest frame the top left corners of the frames before lie."""
        self._born = 0

    def update(self, frame: int, time_s: float, size: tuple[int, int],
               plants: Sequence[Plant]) -> tuple[list[Track], list[Track]]:
        """The track of each plant, in their order, and the tracks that ended. `size`: the frame's width and height."""
        ended = self._advance(time_s, size, plants)
        found: list[Track | None] = [None] * len(plants)
        for track, index in match(self.live, plants, size):
            track.see(frame, plants[index])
            found[index] = track
        seen = {track.id for track in found if track is not None}
        for track in self.live:
            if track.id not in seen:
                self._miss(track)
        tracks = [track or self._bear(frame, plant) for track, plant in zip(found, plants, strict=True)]
        self._windows.append((0.0, 0.0))
        return tracks, ended + self._retire()

    def _advance(self, time_s: float, size: tuple[int, int], plants: Sequence[Plant]) -> list[Track]:
        """Moves all tracks with the ground; gives those that ended because it can't be told how it moved."""
        elapsed = time_s - self._time_s
        known = [track for track in self.live if track.missing < STALE]
        found = estimate(known, plants, size, self._expected(elapsed)) if size == self._size else None
        if found is None and len(known) < FEW and elapsed < LOST_S and size == self._size:
            found = Estimate(Motion(0.0, 0.0), 0)
        ended: list[Track] = []
        if found is None or (not found.pairs and elapsed >= LOST_S):
            ended, self.live = self.live, []
            self._windows.clear()
            self._speed = None
        else:
            for track in self.live:
                track.move(found.motion)
            self._windows = deque((found.motion.move(*corner) for corner in self._windows), LONGEST_HISTORY)
            self._learn(found.motion, found.pairs, elapsed)
        self._size, self._time_s = size, time_s
        return ended

    def _expected(self, elapsed: float) -> Expected | None:
        if self._speed is None:
            return None
        if elapsed <= 0:
            return Expected(*self._step, hypot(*self._step), self._trust)
        return Expected(self._speed[0] * elapsed, self._speed[1] * elapsed, self._fastest * elapsed, self._trust)

    def _learn(self, motion: Motion, pairs: int, elapsed: float) -> None:
        """The speed from a motion that so many pairs speak for; a mere expectation is trusted less each time."""
        if not pairs:
            self._trust /= 2
            return
        middle = (self._size[0] / 2, self._size[1] / 2)
        there = motion.move(*middle)
        self._step = (there[0] - middle[0], there[1] - middle[1])
        self._trust = min(1.0, self._trust / 2 + pairs / 4)
        if elapsed > 0:
            self._speed = (self._step[0] / elapsed, self._step[1] / elapsed)
            self._fastest = max(hypot(*self._speed), self._fastest * FORGET**elapsed)

    def _miss(self, track: Track) -> None:
        track.missing += 1
        weight = self._view((0.0, 0.0), track)
        if weight:
            track.look(weight)

    def _bear(self, frame: int, plant: Plant) -> Track:
        """A new track. The frames before that showed its place without it count as such."""
        self._born += 1
        track = Track(self._born, frame, plant)
        for corner in self._windows:
            weight = self._view(corner, track)
            if weight:
                track.look(weight)
        track.see(frame, plant)
        self.live.append(track)
        return track

    def _view(self, corner: tuple[float, float], track: Track) -> float:
        """What the frame whose top left corner lies at `corner` can say of the track's place; 0 for nothing."""
        x, y = track.x - corner[0], track.y - corner[1]
        if not (0 <= x < self._size[0] and 0 <= y < self._size[1]):
            return 0.0
        left, top, right, bottom = track.extent
        whole = (left > corner[0] and top > corner[1]
                 and right < corner[0] + self._size[0] and bottom < corner[1] + self._size[1])
        return 1.0 if whole else CUT_WEIGHT

    def _retire(self) -> list[Track]:
        kept: list[Track] = []
        ended: list[Track] = []
        for track in self.live:
            (ended if self._is_gone(track) else kept).append(track)
        if len(kept) > MOST_TRACKS:
            kept.sort(key=lambda track: (track.missing, -track.seen))
            ended += kept[MOST_TRACKS:]
            kept = kept[:MOST_TRACKS]
        self.live = kept
        return ended

    def _is_gone(self, track: Track) -> bool:
        width, height = self._size
        left, top, right, bottom = track.extent
        outside = (right < -MARGIN * width or left > (1 + MARGIN) * width
                   or bottom < -MARGIN * height or top > (1 + MARGIN) * height)
        return outside or track.missing > min(30, 2 + 2 * track.seen)
