"""Retention: how what is to go is spread over time."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from structlog.testing import capture_logs

from gateway.retention import EVERY_S, REST, keep_sweeping

pytestmark = pytest.mark.anyio


class Stopped(Exception):
    """The test has seen enough."""


class Hours:
    """A clock that only sweeps and rests move."""

    def __init__(self, sweeps: Sequence[tuple[float, int | Exception]]) -> None:
        self.now, self.rests = 100.0, list[float]()
        self._sweeps = iter(sweeps)

    async def sweep(self) -> int:
        seconds, gone = next(self._sweeps)
        self.now += seconds
        if isinstance(gone, Exception):
            raise gone
        return gone

    def sleeper(self, most: int) -> Callable[[float], Awaitable[None]]:
        async def sleep(seconds: float) -> None:
            self.now += seconds
            self.rests.append(seconds)
            if len(self.rests) == most:
                raise Stopped

        return sleep


async def rests_of(*sweeps: tuple[float, int | Exception]) -> list[float]:
    hours = Hours(sweeps)
    with pytest.raises(Stopped):
        await keep_sweeping(hours.sweep, sleep=hours.sleeper(len(sweeps)), clock=lambda: hours.now)
    return hours.rests


async def test_between_batches_it_rests_several_times_as_long_as_they_took() -> None:
    assert await rests_of((2.0, 500), (0.5, 500), (0.25, 3)) == [2.0 * REST, 0.5 * REST, 0.25 * REST]


async def test_where_nothing_went_the_next_sweep_comes_later() -> None:
    assert await rests_of((0.5, 1), (0.5, 0), (0.5, 1)) == [0.5 * REST, EVERY_S, 0.5 * REST]


async def test_a_sweep_that_fails_is_tried_again_later_and_what_it_said_stays_inside() -> None:
    with capture_logs() as logs:
        assert await rests_of((0.5, OSError("/somebody/s/folder")), (0.5, 4)) == [EVERY_S, 0.5 * REST]
    assert logs == [{"event": "retention failed and is tried again later", "kind": "OSError", "log_level": "error"}]
