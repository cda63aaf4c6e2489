"""Drives one stream session: frames to the node, events to whoever is connected, and an end in any case."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

from domains.errors import CorruptMedia, EmptyMedia, MediaError, UnsupportedMedia
from domains.pnm import grey_header
from edge_runtime.decoder import Decoder
from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    ModelUnavailable,
    NodeLost,
    NodeRefused,
    Overloaded,
)
from edge_runtime.node import Answer, Renew
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.records import Analysis
from gateway.service.streams.events import EndReason, Numbered
from gateway.service.streams.queue import Frame
from gateway.service.streams.session import StreamSession

UNANSWERED = (DeadlineExceeded, DeviceFault, ModelUnavailable, NodeLost, NodeRefused, Overloaded)
"""What a frame may meet that says nothing of the frame: a later one may be answered."""

RETRY_AFTER_S = 0.25
LARGEST_SIDE = 65535

Ask = Callable[[bytes, Renew | None], Awaitable[Answer]]
"""Analyses a frame's file, or what its Renew gives when a device is free for it."""

Store = Callable[[StreamSession, int, str], Awaitable[Analysis | None]]
"""Stores the final verdict: the session, and how many bytes came with which SHA-256."""


class LiveStream:
    """A session at work. It lives without a connection too; `done` is set once it has ended."""

    def __init__(
        self, session: StreamSession, ask: Ask, store: Store, decoder: Decoder | None
    ) -> None:
        self.session = session
        self.done = asyncio.Event()
        self.error: Exception | None = None
        self.connection: Stream | None = None
        self._ask = ask
        self._store = store
        self._decoder = decoder
        self._loop = asyncio.get_running_loop()
        self._changed = self._loop.create_future()
        self._work: set[asyncio.Task[None]] = set()
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0

    async def run(self) -> None:
        """Works until the stream has ended and its verdict is stored."""
        session = self.session
        pump = asyncio.ensure_future(self._pump(self._decoder)) if self._decoder else None
        try:
            while not session.complete:
                while (frame := session.start()) is not None:
                    self._spawn(self._analyse(frame))
                deadline, reason = session.expiry()
                if self._loop.time() >= deadline:
                    self.end(reason)
                else:
                    await self.wait(deadline - self._loop.time())
        finally:
            for task in (*self._work, *([pump] if pump else ())):
                task.cancel()
            if self._decoder:
                await self._decoder.close()
            session.finish(await self._stored())
            self.done.set()
            self.ring()

    def end(self, reason: EndReason) -> None:
        """Takes nothing more in."""
        if self.session.end(reason):
            for task in self._work:
                task.cancel()
        self.ring()

    def fail(self, error: Exception) -> None:
        """Ends it with an error, which the caller is told after the verdict on what was analysed."""
        if self.session.ending in (None, "finished") and not self.session.ended:
            self.error = self.error or error
            self.session.fail()
            for task in self._work:
                task.cancel()
            self.ring()

    def connect(self, received_events: int, *, resumed: bool) -> "Stream":
        """A connection to it, in the place of the one before."""
        started = self.session.attach(received_events, self._loop.time(), resumed=resumed)
        self.connection = Stream(self, Numbered(0, started))
        self.ring()
        return self.connection

    def ring(self) -> None:
        """Something changed: whoever waits looks again."""
        if not self._changed.done():
            self._changed.set_result(None)
        self._changed = self._loop.create_future()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Until something changes, or so long."""
        await asyncio.wait([self._changed], timeout=timeout_s)

    async def room(self) -> bool:
        """Waits until the next frame may come; False where none may any more."""
        while self.session.ending is None and not self.session.room:
            await self.wait()
        return self.session.ending is None

    async def take_frame(self, number: int, time_s: float, content: bytes, width: int, height: int) -> None:
        """A frame of a stream of frames; see Stream.frame."""
        if number < 1:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "frames are numbered from 1", parameter="number")
        if not content:
            raise EmptyMedia(f"frame {number} has no bytes")
        size = None
        if self.session.start_message.codec == "grey8":
            if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE) or width * height != len(content):
                raise CorruptMedia(f"frame {number} has {len(content)} bytes, which are not {width}x{height} grey pixels")
            content, size = grey_header(width, height) + content, (width, height)
        if self.session.duplicate(number) or not await self.room() or self.session.duplicate(number):
            return
        self._note(content)
        self.session.receive(number, time_s, content, self._loop.time(), size)
        self.ring()

    async def take_chunk(self, offset: int, content: bytes) -> None:
        """Bytes of an encoded stream; see Stream.chunk."""
        assert self._decoder is not None, "a stream of chunks has a decoder"
        if offset > self.session.next_offset:
            raise ServiceError(
                ErrorCode.INVALID_ARGUMENT, f"the next byte is {self.session.next_offset}, the chunk begins at {offset}",
                parameter="offset",
            )
        fresh = content[self.session.next_offset - offset :]
        self.session.next_offset += len(fresh)
        self.session.touch(self._loop.time())
        self.ring()
        if fresh and self.session.ending is None:
            self._note(fresh)
            await self._decoder.feed(fresh)

    async def finish(self) -> None:
        """Nothing more comes."""
        if self._decoder is None:
            self.end("finished")
        else:
            await self._decoder.finish()

    def _note(self, content: bytes) -> None:
        self._sha256.update(content)
        self._size_bytes += len(content)

    async def _pump(self, decoder: Decoder) -> None:
        """Frames out of the decoder into the session."""
        try:
            while (frame := await decoder.next_frame()) is not None and await self.room():
                size = frame.width, frame.height
                for gone in self.session.receive(frame.number, frame.time_s, None, self._loop.time(), size):
                    decoder.drop(gone.number)
                self.ring()
            self.end("finished")
        except Exception as error:
            self.fail(error)

    async def _analyse(self, frame: Frame) -> None:
        chosen = _Chosen(self.session, frame)
        try:
            if frame.content is None:
                assert self._decoder is not None, "a frame without content lies with the decoder"
                chosen.content = await self._decoder.take(frame.number)
            answer = await self._answer(chosen)
            if answer is not None and answer.reply.clip:
                raise UnsupportedMedia("it holds several frames: send each by itself, or the whole as a clip")
            if answer is None:
                self.session.unanswered(chosen.frame, self._loop.time())
            else:
                self.session.answered(chosen.frame, answer, chosen.content, self._loop.time())
        except Exception as error:
            self.fail(_about(chosen.frame.number, error))
        finally:
            self.ring()

    async def _answer(self, chosen: "_Chosen") -> Answer | None:
        """None where no device can give one now, and the frame may be left out."""
        while True:
            try:
                return await self._ask(chosen.content, None if self._decoder else chosen.renew)
            except UNANSWERED:
                if self.session.start_message.policy != "all":
                    return None
                await asyncio.sleep(RETRY_AFTER_S)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _stored(self) -> Analysis | None:
        try:
            return await self._store(self.session, self._size_bytes, self._sha256.hexdigest())
        except Exception as error:
            self.error = self.error or error
            return None


class _Chosen:
    """Which frame is analysed: the one that was started, or the newest when a device was free for it."""

    def __init__(self, session: StreamSession, frame: Frame) -> None:
        self.frame = frame
        self.content = frame.content or b""
        self._session = session
        self._asked = False

    def renew(self) -> bytes:
        if not self._asked and self._session.ending in (None, "finished"):
            self._asked = True
            self.frame = self._session.renew(self.frame)
            self.content = self.frame.content or b""
        return self.content


class Stream:
    """One connection to a live stream. Bad input ends the stream, and `events` raises why: the other methods raise nothing."""

    def __init__(self, live: LiveStream, first: Numbered) -> None:
        self._live = live
        self._first = first

    @property
    def encoded(self) -> bool:
        """Whether it takes chunks, and not frames."""
        return self._live.session.encoded

    async def frame(self, number: int, time_s: float, content: bytes, width: int = 0, height: int = 0) -> None:
        """Takes a frame; waits where the policy says so. One that came before is left out. `width`, `height`: for grey8."""
        if self.encoded:
            self.fail(_mixed("frames", "chunks"))
        elif self._takes_input:
            with self._failing():
                await self._live.take_frame(number, time_s, content, width, height)

    async def chunk(self, offset: int, content: bytes) -> None:
        """Takes the next bytes of an encoded stream; waits while the decoder is behind. `offset`: of the first of them."""
        if not self.encoded:
            self.fail(_mixed("chunks", "frames"))
        elif self._takes_input:
            with self._failing():
                await self._live.take_chunk(offset, content)

    async def end(self) -> None:
        """Nothing more comes: the final verdict is wanted."""
        if self._takes_input:
            with self._failing():
                await self._live.finish()

    def ack(self, event: int) -> None:
        """That event arrived, and all before it."""
        if self._is_current:
            self._live.session.outbox.acknowledge(event)

    def fail(self, error: Exception) -> None:
        """Ends the stream: its input breaks the protocol."""
        if self._is_current:
            self._live.fail(error)

    async def events(self) -> AsyncIterator[Numbered]:
        """All events, `Started` first and `Ended` last. Then raises what the stream failed of, if it did; raises CANCELLED
        where another connection took it up.
        """
        yield self._first
        live = self._live
        while True:
            if not self._is_current:
                raise ServiceError(ErrorCode.CANCELLED, "another connection took this stream up")
            event = live.session.outbox.take()
            if event is not None:
                yield event
                live.ring()
            elif live.done.is_set():
                break
            else:
                await live.wait()
        if live.error is not None:
            raise live.error

    def detach(self) -> None:
        """The connection is gone; the stream waits to be taken up again."""
        if self._is_current and not self._live.done.is_set():
            self._live.session.detach(asyncio.get_running_loop().time())
            self._live.ring()

    @property
    def _is_current(self) -> bool:
        return self._live.connection is self

    @property
    def _takes_input(self) -> bool:
        return self._is_current and self._live.session.ending is None

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.fail(error)


def _mixed(sent: str, taken: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"this stream takes {taken}, not {sent}: its codec says so", parameter="codec")


def _about(number: int, error: Exception) -> Exception:
    """The same error, saying which frame it is about, where it is about a frame's file."""
    if isinstance(error, MediaError):
        return type(error)(f"frame {number}: {error}")
    return error
