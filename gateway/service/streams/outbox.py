"""What a stream has told and has still to tell. Pure.

Events are numbered from 1 and kept for a while after they were handed to a connection, so that one whose connection broke
can be told again what may not have arrived. Memory is bounded: a stream stops working on frames while `congested`, and
what was handed over is kept `KEPT` events long, with pictures for the last few.
"""

from collections import deque

import msgspec

from gateway.service.streams.events import Dropped, Event, FrameResult, Numbered, Verdict

CONGESTED = 32
"""So many events may wait for a reader before its stream stops working on frames."""
KEPT = 256
PICTURES_KEPT = 16



class Outbox:
    """The events of one stream."""

    def __init__(self) -> None:
        self._events: deque[Numbered] = deque()
        """Those handed over and kept, then those that wait."""
        self._last = 0
        self._handed = 0
        """Number of the last event that was handed over."""
        self._hint: Event | None = None

    @property
    def congested(self) -> bool:
        """Whether the reader is far behind."""
        return self._last - self._handed >= CONGESTED

    @property
    def empty(self) -> bool:
        """Whether everything was handed over."""
        return self._handed == self._last

    def add(self, event: Event) -> None:
        """Tells an event. Drops that follow each other while nobody reads become one, and of verdicts only the newest waits."""
        waiting = self._events[-1] if self._last > self._handed else None
        if waiting is not None:
            if isinstance(event, Dropped) and isinstance(waiting.event, Dropped) and waiting.event.reason == event.reason:
                told = waiting.event
                joined = Dropped(
                    min(told.first, event.first), max(told.last, event.last), told.count + event.count, event.reason
                )
                self._events[-1] = Numbered(waiting.number, joined)
                return
            if isinstance(event, Verdict) and isinstance(waiting.event, Verdict):
                self._events[-1] = Numbered(waiting.number, event)
                return
        self._last += 1
        self._events.append(Numbered(self._last, event))

    def hint(self, event: Event) -> None:
        """Something that is told once, if somebody reads, and without a number."""
        self._hint = event

    def take(self) -> Numbered | None:
        """The next event for the connection; None where there is none."""
        if self._hint is not None:
            hint, self._hint = self._hint, None
            return Numbered(0, hint)
        if self._handed == self._last:
            return None
        found = self._events[-(self._last - self._handed)]
        self._handed += 1
        self._forget()
        return found

    def acknowledge(self, number: int) -> None:
        """That event arrived, and all before it."""
        while self._events and self._events[0].number <= min(number, self._handed):
            self._events.popleft()

    def rewind(self, received: int) -> int:
        """Tells again what came after that event. How many of them are gone for good."""
        received = min(max(received, 0), self._last)
        self._hint = None
        oldest = self._events[0].number if self._events else self._last + 1
        self._handed = max(received, oldest - 1)
        return max(0, oldest - 1 - received)

    def _forget(self) -> None:
        kept = len(self._events) - (self._last - self._handed)
        if kept > KEPT:
            self._events.popleft()
            kept -= 1
        if kept > PICTURES_KEPT:
            at = kept - PICTURES_KEPT - 1
            old = self._events[at]
            if isinstance(old.event, FrameResult) and old.event.pictures:
                self._events[at] = Numbered(old.number, msgspec.structs.replace(old.event, pictures={}))
