"""Answers into the store, many at a time: those that come while a transaction runs share the next one."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from gateway.service.ports import AnalysisStore
from gateway.service.records import Analysis

_Pending = tuple[Analysis, asyncio.Future[None]]


class Recorder:
    """Group commit over an AnalysisStore, on a thread of its own. Use from one event loop."""

    def __init__(self, store: AnalysisStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "recorder")
        self._pending: list[_Pending] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, analysis: Analysis) -> None:
        """Returns when the analysis is stored; raises the store's error where it could not be."""
        stored = asyncio.get_running_loop().create_future()
        self._pending.append((analysis, stored))
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
            batch, self._pending = self._pending, []
            if await self._try(batch) is not None and len(batch) > 1:
                for one in batch:  # what one of them can't do must not keep the others from it
                    await self._try([one])

    async def _try(self, batch: list[_Pending]) -> Exception | None:
        """One transaction. Tells everybody in it how it went, unless it failed and they will be tried singly."""
        loop = asyncio.get_running_loop()
        failure: Exception | None = None
        try:
            await loop.run_in_executor(self._thread, self._store.add, [analysis for analysis, _ in batch])
        except Exception as error:
            failure = error
        if failure is not None and len(batch) > 1:
            return failure
        for _, stored in batch:
            if stored.done():
                continue
            if failure is None:
                stored.set_result(None)
            else:
                stored.set_exception(failure)
        return failure
