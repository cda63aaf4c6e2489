"""One request at a time works on an upload.

A phone that lost its link leaves a connection behind that may look alive for many minutes. It must not keep the phone, back
on another connection, from going on: whoever asks how far the upload is means to go on, and a request that still waits for
bytes gives way to it, with all that has come stored. A second request with bytes gets no turn while the first one has it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gateway.service.errors import ErrorCode, ServiceError

DRAIN_S, DRAIN_IDLE_S = 2.0, 0.2
"""A request that gives way still takes what has arrived at the machine: until nothing came for the second time, at most for
the first.
"""
PATIENCE_S = 15.0
"""How long a request waits for one that gives way and still has bytes to store."""
T = TypeVar("T")


class UploadLocked(ServiceError):
    """Another request works on the upload."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.CONFLICT, "another request works on this upload: ask for its offset, then go on", retry_after_s=1.0
        )


class Turn:
    """The turn of one request that brings bytes. `stall_s`: it is over when nothing has come for so long."""

    def __init__(self, stall_s: float) -> None:
        self.over = asyncio.Event()
        self._stall_s = stall_s
        self._ends_at: float | None = None
        self._reading: asyncio.Timeout | None = None

    def give_way(self) -> None:
        """Ends the wait for further bytes. What lies in the machine's own buffers is still taken in, for a moment."""
        if self._ends_at is not None:
            return
        now = asyncio.get_running_loop().time()
        self._ends_at = now + DRAIN_S
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(now + DRAIN_IDLE_S)

    async def read(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next bytes, None at the end. Raises ServiceError where the turn is over, and what `chunks` raises."""
        patience_s = self._stall_s
        if self._ends_at is not None:
            patience_s = min(DRAIN_IDLE_S, self._ends_at - asyncio.get_running_loop().time())
            if patience_s <= 0:
                raise UploadLocked
        try:
            async with asyncio.timeout(patience_s) as self._reading:
                return await anext(chunks, None)
        except TimeoutError:
            if self._ends_at is not None:
                raise UploadLocked from None
            raise ServiceError(
                ErrorCode.DEADLINE_EXCEEDED, f"no byte came for {self._stall_s:g} s; what had come is kept"
            ) from None
        finally:
            self._reading = None


class Turns:
    """Whose turn it is, by upload. Use from one event loop."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._held: dict[str, Turn] = {}

    @contextmanager
    def take(self, upload_id: str) -> Iterator[Turn]:
        """The turn, for as long as the block runs. Raises UploadLocked where somebody has it."""
        if upload_id in self._held:
            raise UploadLocked
        turn = self._held[upload_id] = Turn(self._stall_s)
        try:
            yield turn
        finally:
            del self._held[upload_id]
            turn.over.set()

    async def free(self, upload_id: str) -> None:
        """Whoever has the turn gives way; returns when nobody has it. Raises UploadLocked where that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (turn := self._held.get(upload_id)) is not None:
                    turn.give_way()
                    await turn.over.wait()
        except TimeoutError:
            raise UploadLocked from None

    async def free_all(self) -> None:
        """All give way."""
        await asyncio.gather(*(self.free(upload_id) for upload_id in list(self._held)), return_exceptions=True)


async def unbroken(work: Coroutine[Any, Any, T], turn: Turn) -> T:
    """What `work` gives. Where the caller is cancelled the work gives way, runs to its own end, and only then the
    cancellation goes on: bytes on their way to the disk arrive there.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            turn.give_way()
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()
