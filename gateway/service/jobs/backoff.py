"""When a job is tried again, and when no more. Pure: whoever asks brings the clock and the chance.

The n-th pause is `first_s` doubled n - 1 times, at most `longest_s`. A part of it is left to chance, so that jobs that
failed together don't come back together. A device or server that names a pause of its own (Retry-After) is waited for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.service.jobs.records import Job

_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Backoff:
    """The rule, in seconds."""

    first_s: float = 2.0
    longest_s: float = 3600.0
    most_attempts: int = 10
    """With this many attempts behind it a job is a dead letter."""
    chance: float = 0.5
    """Which part of a pause is left to chance, 0 to 1: a pause is at least the rest of it."""

    def pause_s(self, attempts: int, *, luck: float, retry_after_s: float = 0.0) -> float:
        """The pause after that many attempts (1 and more). `luck` is evenly distributed from 0 to 1."""
        doublings = min(max(attempts, 1) - 1, _MOST_DOUBLINGS)
        longest = min(self.longest_s, self.first_s * 2.0**doublings)
        return max(retry_after_s, longest * (1 - self.chance * (1 - luck)))

    def next_try(self, job: Job, now: datetime, *, luck: float, retry_after_s: float = 0.0) -> datetime | None:
        """None where it isn't to be tried again: its attempts are used up, or its caller won't want it any more then."""
        if job.attempts >= self.most_attempts:
            return None
        moment = now + timedelta(seconds=self.pause_s(job.attempts, luck=luck, retry_after_s=retry_after_s))
        return None if job.expires_at is not None and moment >= job.expires_at else moment
