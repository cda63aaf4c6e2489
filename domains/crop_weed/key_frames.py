"""Which frames of a field video show best what was counted: full of sure plants, and spread in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST = 3


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One frame. `label`: the class that most of its plants are of; `probability`: their mean score. `worth`: the sum of
    its plants' scores.
    """

    number: int
    time_s: float
    label: str
    probability: float
    worth: float


class KeyFrames:
    """At most three frames, chosen on the way: one that was passed over never comes back."""

    def __init__(self) -> None:
        self._kept: list[KeyFrame] = []
        self._started_s: float | None = None

    def offer(self, frame: KeyFrame) -> None:
        """Takes `frame` where the frames kept show more with it than without; the one that adds least goes."""
        if self._started_s is None:
            self._started_s = frame.time_s
        choice = [*self._kept, frame]
        if len(choice) > MOST:
            span_s = max(frame.time_s - self._started_s, 1e-9)
            without = (choice[:index] + choice[index + 1:] for index in reversed(range(len(choice))))
            choice = max(without, key=lambda kept: _value(kept, span_s))
        self._kept = choice

    def best(self) -> tuple[KeyFrame, ...]:
        """The frames kept, the one of most worth first."""
        return tuple(sorted(self._kept, key=lambda frame: -frame.worth))


def _value(frames: Sequence[KeyFrame], span_s: float) -> float:
    """Mean worth against the best of them, and how far apart the closest two lie; each about 0..1."""
    most = max(frame.worth for frame in frames) or 1.0
    times = sorted(frame.time_s for frame in frames)
    closest = min(after - before for before, after in pairwise(times))
    return sum(frame.worth for frame in frames) / most / len(frames) + 2 * closest / span_s
