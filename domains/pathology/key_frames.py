"""Which frames show best what a verdict rests on: the clearest ones, not all from one moment."""

from dataclasses import dataclass

MOST = 3
APART = 0.1
"""Of the time so far: so much lies between two key frames at least."""
CLEARER = 0.02
"""By so much a new frame must score higher than one kept to go before it: what a probability wavers by anyway."""


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """One frame. `probability`: of the label that it is to show. `score`: how clearly it does, 0..1."""

    number: int
    time_s: float
    probability: float
    score: float


class KeyFrames:
    """The best frames for one label so far, found on the way: one that was passed over never comes back."""

    def __init__(self) -> None:
        self._kept: list[KeyFrame] = []
        self._started_s: float | None = None

    def offer(self, frame: KeyFrame) -> None:
        """Weighs `frame` against those kept: the clearest stay that lie far enough from any clearer one."""
        if self._started_s is None:
            self._started_s = frame.time_s
        apart_s = APART * (frame.time_s - self._started_s)
        ranked = sorted([*self._kept, frame], key=lambda one: one.score - CLEARER * (one is frame), reverse=True)
        self._kept = []
        for one in ranked:
            if len(self._kept) < MOST and all(abs(one.time_s - kept.time_s) >= apart_s for kept in self._kept):
                self._kept.append(one)

    def best(self) -> tuple[KeyFrame, ...]:
        """At most three, the clearest first."""
        return tuple(self._kept)
