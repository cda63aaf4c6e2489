"""News of how far an analysis is, told while it runs, at the caller's pace."""

import asyncio
from types import TracebackType
from typing import Self

from gateway.grpc.calls import Context, send
from gateway.grpc.messages import progress_to_proto
from gateway.service.clips import Progress
from protos.hedgerow.v1 import analysis_pb2 as pb


class Telling:
    """Writes progress inside an `async with` block. For a caller who reads slowly only the newest waits; all that waits is
    written when the block has ended well.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._news: asyncio.Queue[pb.AnalyzeWithProgressResponse | None] = asyncio.Queue(1)

    def on_progress(self, progress: Progress) -> None:
        """Takes the newest state."""
        if self._news.full():
            self._news.get_nowait()
        self._news.put_nowait(pb.AnalyzeWithProgressResponse(progress=progress_to_proto(progress)))

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._news.put(None)
                await self._writing
        finally:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        while (response := await self._news.get()) is not None:
            await send(self._context, response)
