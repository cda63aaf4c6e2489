"""What a stream's sender has given and the gateway may not have yet. Pure: no clock, no connection.

Three rules, by what is sent:

    live frames    one waits; a newer one takes its place. Of those sent only the newest is kept: after a break the
                   older ones would come too late to be of use, and count as dropped.
    every frame    all are kept until the gateway tells of them; `full` holds the sender back.
    chunks         all that is unsent is kept, and of what was sent the last `kept_bytes`; `full` holds the sender back.
"""

from collections import deque
from dataclasses import dataclass, replace

from hedgerow_client.errors import NOT_KEPT, HedgerowError
from hedgerow_client.transport import Part


@dataclass(frozen=True, slots=True)
class Limits:
    """`parts`: frames that may be unconfirmed. `waiting_bytes`: bytes that may be so, or, of chunks, unsent. `kept_bytes`: of chunks
    that were sent.
    """

    parts: int = 64
    waiting_bytes: int = 16 * 1024 * 1024
    kept_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lost:
    """Frames that were never sent, or never arrived."""

    first: int
    last: int
    count: int


class Outbox:
    """Parts in the order of their places."""

    def __init__(self, *, live: bool, chunks: bool, limits: Limits | None = None) -> None:
        self._live = live
        self._chunks = chunks
        self._limits = limits or Limits()
        self._unsent: deque[Part] = deque()
        self._sent: deque[Part] = deque()
        self._unsent_bytes = self._sent_bytes = 0
        self._travelling: deque[int] = deque()
        """Live frames that were sent and of which nothing was heard."""
        self._lost: list[int] = []

    @property
    def full(self) -> bool:
        """Whether the sender has to wait; a live one never has."""
        if self._live:
            return False
        if self._chunks:
            return self._unsent_bytes >= self._limits.waiting_bytes
        held = len(self._unsent) + len(self._sent)
        return held >= self._limits.parts or self._unsent_bytes + self._sent_bytes >= self._limits.waiting_bytes

    @property
    def awaiting(self) -> bool:
        """Whether frames are on their way of which the gateway has said nothing."""
        return not self._chunks and bool(self._sent or self._travelling)

    @property
    def waiting(self) -> bool:
        """Whether a part waits to be sent."""
        return bool(self._unsent)

    def is_waiting(self, place: int) -> bool:
        """Whether that part waits to be sent."""
        return bool(self._unsent) and self._unsent[0].place <= place <= self._unsent[-1].place

    def put(self, part: Part) -> None:
        """Takes a part."""
        while self._live and self._unsent:
            self._lost.append(self._unsent.popleft().place)
        self._unsent.append(part)
        self._unsent_bytes += len(part.content)

    def take(self) -> Part | None:
        """The next part for the connection; it counts as sent."""
        if not self._unsent:
            return None
        part = self._unsent.popleft()
        self._unsent_bytes -= len(part.content)
        if self._live:
            self._sent.clear()
            self._sent_bytes = 0
            self._travelling.append(part.place)
        self._sent.append(part)
        self._sent_bytes += len(part.content)
        while self._chunks and self._sent_bytes > self._limits.kept_bytes:
            self._sent_bytes -= len(self._sent.popleft().content)
        return part

    def confirm(self, number: int) -> None:
        """The gateway has every frame up to `number`."""
        if self._chunks:
            return
        while self._sent and self._sent[0].place <= number:
            self._sent_bytes -= len(self._sent.popleft().content)
        while self._travelling and self._travelling[0] <= number:
            self._travelling.popleft()

    def rewind(self, next_place: int) -> None:
        """A new connection, on which the gateway wants `next_place` next: what it lacks counts as unsent again. Raises
        HedgerowError where that is no longer kept.
        """
        if self._chunks:
            self._rewind_chunks(next_place)
            return
        self.confirm(next_place - 1)
        again = list(self._sent)
        self._sent.clear()
        self._sent_bytes = 0
        if self._live:
            newest = again[-1:] if not self._unsent else []
            self._lost += [place for place in self._travelling if not newest or place != newest[0].place]
            self._travelling.clear()
            again = newest
        self._unsent.extendleft(reversed(again))
        self._unsent_bytes = sum(len(part.content) for part in self._unsent)

    def take_lost(self) -> list[Lost]:
        """What was lost since this was asked last, in runs of numbers that follow each other."""
        found: list[Lost] = []
        for number in sorted(self._lost):
            if found and number == found[-1].last + 1:
                found[-1] = Lost(found[-1].first, number, found[-1].count + 1)
            else:
                found.append(Lost(number, number, 1))
        self._lost.clear()
        return found

    def _rewind_chunks(self, offset: int) -> None:
        parts = [*self._sent, *self._unsent]
        if parts and parts[0].place > offset:
            raise HedgerowError(NOT_KEPT, f"the gateway lacks bytes from {offset} on; kept are those from {parts[0].place} on")
        self._sent.clear()
        self._sent_bytes = 0
        self._unsent.clear()
        for part in parts:
            known = max(0, offset - part.place)
            if known < len(part.content):
                self._unsent.append(replace(part, place=part.place + known, content=part.content[known:]))
        self._unsent_bytes = sum(len(part.content) for part in self._unsent)
