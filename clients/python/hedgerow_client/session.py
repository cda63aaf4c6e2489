"""What a stream is behind its connections: parts that wait, events that came, and one task that owns the connection.

When the connection breaks, the stream is taken up again on a new one: from `started` the client learns what the gateway
has, and sends the rest again; the gateway tells every event after the last that arrived, and what comes twice all the same
is left out by its number.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from hedgerow_client.errors import (
    INTERNAL,
    NOT_A_GATEWAY,
    STREAM_ENDED,
    Busy,
    HedgerowError,
    TimedOut,
    Unreachable,
    unreachable,
)
from hedgerow_client.events import LINK_DOWN, Dropped, Ended, Event, FrameResult, Interrupted, Started
from hedgerow_client.outbox import Limits, Outbox
from hedgerow_client.reading import read_event
from hedgerow_client.retries import Retries, retried
from hedgerow_client.transport import Link, LinkOpener, Part, StreamResume, StreamStart, Told

FRAME_CODECS = frozenset({"pictures", "grey8"})
EVENTS_HELD = 4096
"""Events that may wait for the caller; then the connection isn't read any more."""
SILENCE_S = 10.0
"""A connection on which frames are out and nothing comes for that long is taken for lost."""
CONNECT_S = 4.0
"""How long one try to take a stream up may last."""
REASON_S = 5.0
"""How long the reason of a failure is waited for."""
CLOSE_S = 1.0
"""How long a gateway that has nothing more to say may take to close the connection."""
ACK_EVERY = 16


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream behaves at this end. `resume_within_s`: how long a break may last; the gateway's own limit counts where it
    is shorter. `timeout_s`: for opening it.
    """

    timeout_s: float = 30.0
    resume_within_s: float = 60.0
    retries: Retries = field(default_factory=lambda: Retries(attempts=4, first_pause_s=0.1, longest_pause_s=2.0))
    limits: Limits = field(default_factory=Limits)


class Session:
    """One stream. `changed` is notified whenever anything here changes; hold it to look and to wait."""

    def __init__(self, transport: Callable[[], LinkOpener], start: StreamStart, options: StreamOptions) -> None:
        self.start = start
        self.chunks = start.codec not in FRAME_CODECS
        self.live = start.policy != "all" and not self.chunks
        self.changed = asyncio.Condition()
        self.outbox = Outbox(live=self.live, chunks=self.chunks, limits=options.limits)
        self.events: deque[Event] = deque()
        self.linked = self.end_wanted = self.end_sent = self.closed = False
        self.error: HedgerowError | None = None
        self._transport = transport
        self._options = options
        self._place = 0 if self.chunks else 1
        self._received = self._acked = 0
        self._token = ""
        self._resume_within_s = 0.0
        self._over: Ended | None = None
        self._asked_why = False

    async def open(self) -> Link:
        """The first connection. Raises HedgerowError."""
        link, told = await retried(
            lambda left: self._connect(self.start, left), self._options.retries, self._options.timeout_s, repeatable=True
        )
        self._began(told)
        return link

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for something to be so."""
        async with self.changed:
            await self.changed.wait_for(true)

    async def give(self, part: Part, length: int) -> int:
        """Has a part sent in its turn; gives its place. Raises what ended the stream."""
        async with self.changed:
            await self.changed.wait_for(lambda: not self.outbox.full or self.closed)
            if self.closed:
                raise self.error or HedgerowError(STREAM_ENDED, "the gateway has ended the stream")
            place = self._place
            self._place += length
            self.outbox.put(replace(part, place=place))
            self.changed.notify_all()
        return place

    async def run(self, link: Link) -> None:
        """Owns the connections until the stream is over."""
        try:
            while True:
                try:
                    await self._converse(link)
                    break
                except Unreachable as error:
                    link = await self._resume(error)
        except HedgerowError as error:
            self.error = error
        except Exception as error:
            self.error = HedgerowError(INTERNAL, f"the client failed at the stream ({type(error).__name__})")
            self.error.__cause__ = error
        finally:
            async with self.changed:
                self.linked, self.closed = False, True
                self._tell_lost()
                self.changed.notify_all()

    async def _resume(self, error: HedgerowError) -> Link:
        """A new connection to the same stream. Once it has taken too long, raises the last error that tells a cause: a
        try which the end of the time cut short tells none.
        """
        async with self.changed:
            self.linked = False
            self.events.append(Interrupted(error.message, {"type": "interrupted", "cause": error.message}))
            self.changed.notify_all()
        deadline = time.monotonic() + self._resume_within_s
        failures = 0
        while True:
            failures += 1
            pause_s = self._options.retries.pause_s(failures, error)
            if time.monotonic() + pause_s >= deadline:
                raise error
            await asyncio.sleep(pause_s)
            try:
                first = StreamResume(self.start.domain, self._token, self._received)
                link, told = await self._connect(first, min(CONNECT_S, deadline - time.monotonic()))
            except (Unreachable, Busy, TimedOut) as again:
                if time.monotonic() < deadline:
                    error = again
                continue
            try:
                self._began(told)
            except HedgerowError:
                await link.close()
                raise
            return link

    async def _connect(self, first: StreamStart | StreamResume, timeout_s: float) -> tuple[Link, Told]:
        transport = self._transport()
        try:
            async with asyncio.timeout(timeout_s):
                link = await transport.open_link(first, timeout_s)
                try:
                    told = await self._heard(link)
                    if told.name != "started":
                        raise HedgerowError(NOT_A_GATEWAY, f"the gateway began the stream with '{told.name}'")
                except BaseException:
                    await link.close()
                    raise
        except TimeoutError:
            raise unreachable(transport.address, "no connection in time", maybe_processed=True) from None
        return link, told

    def _began(self, told: Told) -> None:
        started = read_event(told.name, told.document, {})
        assert isinstance(started, Started)
        self._token = started.token
        self._resume_within_s = min(self._options.resume_within_s, started.resume_within_s)
        if started.resumed:
            self.outbox.rewind(started.next_offset if self.chunks else started.next_frame)
        self.events.append(started)
        self._tell_lost()
        self.linked = True
        self.end_sent = False
        self._acked = 0

    async def _converse(self, link: Link) -> None:
        """Sends and receives until `Ended`. Raises what broke it off."""
        async with self.changed:
            self.changed.notify_all()
        sender, receiver = asyncio.create_task(self._send(link)), asyncio.create_task(self._receive(link))
        try:
            await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
            if not receiver.done():  # sending failed: the gateway may have said why
                await asyncio.wait((receiver,), timeout=REASON_S)
            await (receiver if receiver.done() else sender)
        finally:
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
            await link.close()

    async def _send(self, link: Link) -> None:
        """Sends what there is to send, until it is cancelled. After the gateway's last event nothing goes out any more: to
        gRPC a message that meets the end of a call hides why the gateway ended it.
        """
        send: Callable[[Part], Awaitable[None]] = link.send_chunk if self.chunks else link.send_frame
        while True:
            async with self.changed:
                await self.changed.wait_for(
                    lambda: self._over is None and (self.outbox.waiting or self._ack_due or self._end_due)
                )
                ack = self._received if self._ack_due else 0
                part = self.outbox.take()
                self._tell_lost()
                self.changed.notify_all()
            if ack:
                await link.send_ack(ack)
                self._acked = ack
            if part is not None:
                await send(part)
            elif self._end_due:
                await link.send_end()
                async with self.changed:
                    self.end_sent = True
                    self.changed.notify_all()

    @property
    def _end_due(self) -> bool:
        return self.end_wanted and not self.end_sent

    @property
    def _ack_due(self) -> bool:
        return self._received - self._acked >= ACK_EVERY and not self.end_wanted

    async def _receive(self, link: Link) -> None:
        """Reads events until the last one."""
        while self._over is None:
            told = await self._next(link)
            if told.number and told.number <= self._received:
                continue
            self._received = max(self._received, told.number)
            event = read_event(told.name, told.document, told.pictures)
            async with self.changed:
                if isinstance(event, FrameResult):
                    self.outbox.confirm(event.number)
                elif isinstance(event, Dropped):
                    self.outbox.confirm(event.last)
                elif isinstance(event, Ended):
                    self._over = event
                if event is not None:
                    await self.changed.wait_for(lambda: len(self.events) < EVENTS_HELD)
                    self.events.append(event)
                self.changed.notify_all()
        await self._last_words(link, self._over)

    async def _last_words(self, link: Link, ended: Ended) -> None:
        """Raises what the stream failed of, which the gateway says after its last event. A connection that breaks before that
        is worth another one, once; a failed stream never ends as if all were well.
        """
        failed = ended.reason == "failed"
        with contextlib.suppress(TimeoutError, Unreachable):
            async with asyncio.timeout(REASON_S if failed else CLOSE_S):
                while await link.receive() is not None:
                    pass
        if not failed:
            return
        if self._asked_why:
            raise HedgerowError(STREAM_ENDED, "the stream failed, and the gateway's reason did not arrive")
        self._asked_why = True
        raise unreachable(self._transport().address, "the connection was cut", maybe_processed=True)

    async def _next(self, link: Link) -> Told:
        reading = asyncio.ensure_future(self._heard(link))
        try:
            while not (await asyncio.wait((reading,), timeout=SILENCE_S))[0]:
                if self.outbox.awaiting:
                    raise unreachable(self._transport().address, "nothing came any more", maybe_processed=True)
            return reading.result()
        finally:
            reading.cancel()

    async def _heard(self, link: Link) -> Told:
        told = await link.receive()
        if told is None:
            raise unreachable(self._transport().address, "the connection was closed", maybe_processed=True)
        return told

    def _tell_lost(self) -> None:
        for lost in self.outbox.take_lost():
            raw = {"type": "dropped", "first": lost.first, "last": lost.last, "count": lost.count, "reason": LINK_DOWN}
            self.events.append(Dropped(lost.first, lost.last, lost.count, LINK_DOWN, raw))
