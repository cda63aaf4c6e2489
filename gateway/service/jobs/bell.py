"""A doorbell: it says that there may be something to do, to whoever waits in this process. Looking now and then does too."""

import asyncio


class Bell:
    """Use from one event loop."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None

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
