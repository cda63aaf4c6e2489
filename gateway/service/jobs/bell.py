"""A doorbell: it says that there may be something to do, or to stop, in this process. Looking now and then does too."""

import asyncio
from collections.abc import Callable


class Bell:
    """Use from one event loop."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None
        self._stops: list[Callable[[str], None]] = []

    def on_withdrawn(self, stop: Callable[[str], None]) -> None:
        """`stop` is called with the id of each job that is withdrawn from now on."""
        self._stops.append(stop)

    def withdrawn(self, job_id: str) -> None:
        """Nobody wants an answer to that job any more."""
        for stop in self._stops:
            stop(job_id)
        self.ring()

    def ring(self) -> None:
        """Wakes everybody who waits."""
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)
        self._rung = None

    async def wait(self, timeout_s: float) -> None:
        """Until it rings, or so long."""
        if self._rung is None:
            self._rung = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._rung], timeout=timeout_s)
