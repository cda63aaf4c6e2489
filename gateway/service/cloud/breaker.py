"""A circuit breaker: what fails again and again is left alone for a while, and then tried with one call.

    closed     every call is permitted; `failures` of them in a row open it
    open       none is, until the pause is over
    half open  one is, the probe: it closes the breaker, or opens it for twice as long

Pure: whoever asks brings the clock, in seconds from wherever it likes, so long as it never goes back.
"""

import enum
from dataclasses import dataclass


class BreakerState(enum.StrEnum):
    """Whether calls are permitted."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """Pauses double from `first_s` to `longest_s`. A probe that tells nothing within `probe_s` no longer counts as one."""

    failures: int = 3
    first_s: float = 1.0
    longest_s: float = 300.0
    probe_s: float = 120.0


class Breaker:
    """Tell it of each permitted call how it ended; of one that was cancelled nothing need be told."""

    def __init__(self, rule: BreakerRule | None = None) -> None:
        self._rule = rule or BreakerRule()
        self._failures = 0
        self._pause_s = 0.0
        """0 while it is closed."""
        self._opened_at = 0.0
        self._probe_since: float | None = None

    def state(self, now: float) -> BreakerState:
        """Half open as soon as the pause is over."""
        if not self._pause_s:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.pause_s(now) else BreakerState.HALF_OPEN

    def pause_s(self, now: float) -> float:
        """For how long it stays open; 0 where it isn't."""
        return max(0.0, self._opened_at + self._pause_s - now) if self._pause_s else 0.0

    def would_permit(self, now: float) -> bool:
        """Whether a call would be permitted now."""
        if self.state(now) is BreakerState.HALF_OPEN:
            return self._probe_since is None or now - self._probe_since >= self._rule.probe_s
        return self.state(now) is BreakerState.CLOSED

    def permits(self, now: float) -> bool:
        """Whether a call may be made now. The one that a half-open breaker permits is its probe."""
        if not self.would_permit(now):
            return False
        if self._pause_s:
            self._probe_since = now
        return True

    def succeeded(self) -> None:
        """Closes it, also by a call that began before it opened."""
        self._failures, self._pause_s, self._probe_since = 0, 0.0, None

    def failed(self, now: float) -> None:
        """A call that began before it opened changes nothing while it is open."""
        self._failures += 1
        state = self.state(now)
        if state is BreakerState.OPEN or (state is BreakerState.CLOSED and self._failures < self._rule.failures):
            return
        self._pause_s = min(self._rule.longest_s, self._pause_s * 2 or self._rule.first_s)
        self._opened_at, self._probe_since = now, None
