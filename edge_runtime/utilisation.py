"""How busy a device was over the last minute. Pure: times are given."""

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 60.0


@dataclass(slots=True)
class Utilisation:
    """Stretches of work, in seconds of one clock."""

    _stretches: deque[tuple[float, float]] = field(default_factory=deque)
    _since: float | None = None
    _began: float | None = None

    def at_work(self, now: float) -> None:
        """Work has begun, or goes on."""
        if self._began is None:
            self._began = now
        if self._since is None:
            self._since = now

    def idle(self, now: float) -> None:
        """There is nothing to do."""
        if self._since is not None:
            self._stretches.append((self._since, now))
            self._since = None
        self._forget(now)

    def share(self, now: float) -> float:
        """Share of the last minute, or of the time since the first work, that was spent working: 0 to 1."""
        if self._began is None:
            return 0.0
        self._forget(now)
        start = max(self._began, now - WINDOW_S)
        worked = sum(end - max(begin, start) for begin, end in self._stretches if end > start)
        if self._since is not None:
            worked += now - max(self._since, start)
        return min(1.0, worked / (now - start)) if now > start else 0.0

    def _forget(self, now: float) -> None:
        while self._stretches and self._stretches[0][1] < now - WINDOW_S:
            self._stretches.popleft()
