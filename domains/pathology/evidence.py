"""What frames in a row say together, and how many independent looks they are worth."""

import math
from collections.abc import Sequence
from statistics import NormalDist


class Evidence:
    """Mean probabilities over usable frames, each weighing the same, or with `half_life_s` half as much for each such time
    of media that has passed since. Constant memory.

    `look_s`: frames less than this apart resemble each other and share one look.
    """

    def __init__(self, look_s: float, half_life_s: float = math.inf) -> None:
        self._look_s = look_s
        self._half_life_s = half_life_s
        self._time_s: float | None = None
        self._usable_s: float | None = None
        self._sums: list[float] = []
        self._all = self._moving = self._foreign = 0.0
        self.weight = 0.0
        """Of the usable frames together; a new one weighs 1."""
        self.looks = 0.0
        """As how many independent frames the usable ones count."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Probability of each label; empty before the first usable frame."""
        return tuple(value / self.weight for value in self._sums)

    @property
    def usable_share(self) -> float:
        """Of all frames, 0..1."""
        return self.weight / self._all if self._all else 0.0

    @property
    def usable_share_of_moving(self) -> float:
        """Of the frames that weren't frozen, 0..1."""
        return self.weight / self._moving if self._moving else 0.0

    @property
    def foreign_share(self) -> float:
        """Of all frames, 0..1."""
        return self._foreign / self._all if self._all else 0.0

    def add(
        self, time_s: float, probabilities: Sequence[float] | None, *, frozen: bool = False, foreign: bool = False
    ) -> None:
        """Takes the next frame. `probabilities`: of each label; None where it doesn't count."""
        self._fade(time_s)
        self._all += 1
        self._moving += not frozen
        self._foreign += foreign
        if probabilities is None:
            return
        apart_s = self._look_s if self._usable_s is None else time_s - self._usable_s
        self._usable_s = time_s
        self.looks += min(1.0, max(0.0, apart_s) / self._look_s)
        self.weight += 1
        sums = self._sums or [0.0] * len(probabilities)
        self._sums = [old + new for old, new in zip(sums, probabilities, strict=True)]

    def interval(self, label: int, confidence: float) -> tuple[float, float]:
        """Wilson's interval of the mean of a label, by index, over so many looks (at least 1)."""
        return wilson(self.mean[label], max(1.0, self.looks), confidence)

    def _fade(self, time_s: float) -> None:
        passed_s = 0.0 if self._time_s is None else max(0.0, time_s - self._time_s)
        self._time_s = time_s
        left = max(0.5 ** (passed_s / self._half_life_s), 1e-12)  # 0 would forget the label itself
        self._all, self._moving, self._foreign, self.weight, self.looks = (
            value * left for value in (self._all, self._moving, self._foreign, self.weight, self.looks))
        self._sums = [value * left for value in self._sums]


def wilson(mean: float, count: float, confidence: float) -> tuple[float, float]:
    """The interval in 0..1 of a share `mean` over `count` independent trials (Wilson, 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    scale = 1 + z * z / count
    centre = (mean + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count))
    return max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))
