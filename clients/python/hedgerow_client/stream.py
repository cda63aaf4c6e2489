"""A live stream: parts out, events in, over as many connections as it takes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from hedgerow_client.errors import STREAM_ENDED, HedgerowError
from hedgerow_client.events import Ended, Event
from hedgerow_client.session import FRAME_CODECS, Session, StreamOptions
from hedgerow_client.transport import LinkOpener, Part, StreamStart

CODECS = FRAME_CODECS | {"h264", "hevc", "mpeg2", "mpegts", "mp4"}
POLICIES = frozenset({"latest", "all", "sample"})
HANDOVER_S = 0.05
"""How long a live frame's sender waits for the connection to take it."""
LEAVE_S = 1.0
"""How long leaving a stream that isn't over waits for its verdict."""


class AsyncStream:
    """Use it in `async with`; send and iterate at the same time. Every method raises HedgerowError once the stream has failed.

    Iterating ends after `Ended`; where the stream failed, it raises why instead of ending. At most 4096 events wait for
    that: with the policy `all`, a sender who never reads is held back in the end.
    """

    def __init__(
        self, transport: Callable[[], LinkOpener], start: StreamStart, options: StreamOptions | None = None
    ) -> None:
        if start.codec not in CODECS or start.policy not in POLICIES:
            raise ValueError(f"codec is one of {', '.join(sorted(CODECS))}; policy one of {', '.join(sorted(POLICIES))}")
        if (start.policy == "sample") != (start.sample_fps > 0):
            raise ValueError("the policy sample, and no other, goes with a sample_fps above 0")
        self._session = Session(transport, start, options or StreamOptions())
        self._opened = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        link = await self._session.open()
        self._opened = time.monotonic()
        self._task = asyncio.create_task(self._session.run(link), name="hedgerow stream")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves: a stream that isn't over is ended, and its verdict is waited for no longer than `LEAVE_S`."""
        session = self._session
        if self._task is None:
            return
        if not session.closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self.end()
                    await session.until(lambda: session.closed)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def send_frame(self, content: bytes, time_s: float | None = None, *, width: int = 0, height: int = 0) -> int:
        """Sends the next frame; gives its number, from 1. `time_s`: its media time; by default the seconds since the stream
        was opened. `width`, `height`: for grey8.

        With the policy `all` it waits where too many are on their way. Else it waits 50 ms at most: a frame that the
        connection doesn't take by then gives way to the next one, and a `Dropped` with the reason `link_down` says so.
        """
        self._check(chunk=False)
        session = self._session
        when = time.monotonic() - self._opened if time_s is None else time_s
        number = await session.give(Part(0, content, when, width, height), 1)
        if session.live and session.linked:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDOVER_S):
                    await session.until(lambda: not session.outbox.is_waiting(number) or not session.linked)
        return number

    async def send_chunk(self, content: bytes) -> int:
        """Sends the next bytes of an encoded stream, cut anywhere; gives where they begin. Waits where too many are unsent."""
        self._check(chunk=True)
        return await self._session.give(Part(0, content), len(content))

    async def end(self) -> None:
        """Says that nothing more comes; the verdict follows among the events."""
        async with self._session.changed:
            self._session.end_wanted = True
            self._session.changed.notify_all()

    async def finish(self) -> Ended:
        """Ends the stream, reads what is left of the events, and gives the last one."""
        await self.end()
        last: Event | None = None
        async for event in self:
            last = event
        if not isinstance(last, Ended):
            raise HedgerowError(STREAM_ENDED, "the stream's end was read before")
        return last

    async def next_event(self) -> Event | None:
        """The next event; None after the last one."""
        session = self._session
        async with session.changed:
            await session.changed.wait_for(lambda: session.events or session.closed)
            if session.events:
                session.changed.notify_all()
                return session.events.popleft()
        if session.error is not None:
            raise session.error
        return None

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Every event, the last one is `Ended`."""
        while (event := await self.next_event()) is not None:
            yield event

    def _check(self, *, chunk: bool) -> None:
        session = self._session
        if chunk != session.chunks:
            wanted = "send_chunk" if session.chunks else "send_frame"
            raise ValueError(f"the codec {session.start.codec} goes with {wanted}")
        if session.error is not None:
            raise session.error
        if session.end_wanted:
            raise HedgerowError(STREAM_ENDED, "nothing can be sent after end()")
