"""When a request is sent again, and how long it waits before that."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hedgerow_client.errors import HedgerowError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts`: how often a request is sent at most. The pause before the n-th repetition is drawn from 0.5 to 1 of
    `first_pause_s` doubled n - 1 times, at most `longest_pause_s`, and no shorter than the gateway's Retry-After.
    """

    attempts: int = 4
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_pause_s <= 0 or self.longest_pause_s < self.first_pause_s:
            raise ValueError(f"retries need at least 1 attempt and pauses that grow, got {self}")

    def pause_s(self, failures: int, error: HedgerowError | None = None) -> float:
        """The pause after `failures` failures in a row, in seconds."""
        longest = min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 30))
        drawn = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers in time, hides nothing
        return max(drawn, (error.retry_after_s if error else None) or 0.0)


async def retried(
    send: Callable[[float], Awaitable[T]], retries: Retries, timeout_s: float, *, repeatable: bool
) -> T:
    """What `send` gives, which is told how many seconds are left; sent again where that may help and the time allows.

    `repeatable`: whether it does no harm to send it twice. If not, it is sent again only where it was certainly not
    carried out. Raises the last HedgerowError.
    """
    deadline = time.monotonic() + timeout_s
    failures = 0
    while True:
        try:
            return await send(max(deadline - time.monotonic(), 0.001))
        except HedgerowError as error:
            failures += 1
            pause_s = retries.pause_s(failures, error)
            allowed = error.retryable and (repeatable or not error.maybe_processed)
            if not allowed or failures >= retries.attempts or time.monotonic() + pause_s >= deadline:
                raise
        await asyncio.sleep(pause_s)
