"""Answers into the stores, many at a time: those that come while others are being stored share the next turn."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from gateway.service.ports import AnalysisStore, ImageStore
from gateway.service.records import Analysis

MOST_AT_ONCE = 32
"""Answers in a turn."""
MOST_BYTES = 16_000_000
"""Of pictures in a turn, but for a single larger one: nobody waits for more than that besides his own."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An answer and its pictures. `stored`: done early where the caller has left."""

    analysis: Analysis
    pictures: Mapping[str, bytes]
    stored: asyncio.Future[None]


class Recorder:
    """Group commit over the stores, on a thread of its own: the pictures of all, then the rows of all. Use from one event loop."""

    def __init__(self, store: AnalysisStore, images: ImageStore) -> None:
        self._store = store
        self._images = images
        self._thread = ThreadPoolExecutor(1, "recorder")
        self._pending: list[_Pending] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, analysis: Analysis, pictures: Mapping[str, bytes]) -> None:
        """Returns when both are stored; raises the store's error where they could not be, and then neither is. Cancelled before its
        row is written, it leaves nothing behind.
        """
        stored = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(analysis, pictures, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def close(self) -> None:
        """Finishes what is pending."""
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()

    async def _write(self) -> None:
        while self._pending:
            count = self._next_turn()
            turn, self._pending = self._pending[:count], self._pending[count:]
            if await self._try(turn) is not None and len(turn) > 1:
                for one in turn:  # what one of them can't do must not keep the others from it
                    await self._try([one])

    def _next_turn(self) -> int:
        """How many of those that wait it takes."""
        size_bytes = 0
        for count, one in enumerate(self._pending[:MOST_AT_ONCE]):
            size_bytes += sum(map(len, one.pictures.values()))
            if count and size_bytes > MOST_BYTES:
                return count
        return min(len(self._pending), MOST_AT_ONCE)

    async def _try(self, turn: Sequence[_Pending]) -> Exception | None:
        """Tells everybody in it how it went, unless it failed and they will be tried singly."""
        failure: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, turn)
        except Exception as error:
            failure = error
        if failure is not None and len(turn) > 1:
            return failure
        for one in turn:
            if one.stored.done():
                continue
            if failure is None:
                one.stored.set_result(None)
            else:
                one.stored.set_exception(failure)
        return failure

    def _keep(self, turn: Sequence[_Pending]) -> None:
        """On the recorder's thread. Callers may leave meanwhile: what is theirs goes again."""
        wanted = _still_wanted(turn)
        pictured = [one for one in wanted if one.pictures]
        if pictured:
            self._images.put_all({one.analysis.id: one.pictures for one in pictured})
            wanted = _still_wanted(wanted)
        try:
            if wanted:
                self._store.add([one.analysis for one in wanted])
        except BaseException:
            self._forget(pictured)
            raise
        self._forget(one for one in pictured if one not in wanted)

    def _forget(self, unwanted: Iterable[_Pending]) -> None:
        """A picture without a row is nobody's: the retention would find it, and nobody else."""
        for one in unwanted:
            with suppress(OSError):
                self._images.delete(one.analysis.id)


def _still_wanted(turn: Iterable[_Pending]) -> list[_Pending]:
    """Without those whose callers have left."""
    return [one for one in turn if not one.stored.done()]
