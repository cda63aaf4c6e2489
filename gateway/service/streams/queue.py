"""Which frames of a stream are analysed, and in which order their answers count. Pure.

Rules
1. A frame whose number isn't larger than that of the one before came before: it is left out and counts nowhere.
2. `latest`: one frame is at the device and at most one waits; a newer one takes its place. Where the device lets it wait,
   the one at the device is exchanged for the newest when it is taken.
3. `all`: none is dropped; `AHEAD` wait and as many are analysed at once, and then the sender has to wait.
4. `sample`: as `latest`, over frames that are at least 1 / sample_fps seconds of media time apart.
5. Answers count in the order of frames, whatever the order in which they come.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.service.streams.events import DropReason, Policy

AHEAD = 4
SAMPLING_SLACK = 0.01
"""Part of a sampling period by which a frame may come too early: media times are rounded."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame on its way. `content`: its file; None where a decoder holds it. `received_at`: when its last byte came."""

    number: int
    time_s: float
    received_at: float
    content: bytes | None = None


@dataclass(slots=True)
class FrameQueue(Generic[Outcome]):
    """The frames of one stream that have no answer yet."""

    policy: Policy
    sample_fps: float = 0.0
    next_number: int = 1
    """The least number that a frame may have."""
    received: int = 0
    _waiting: deque[Frame] = field(default_factory=deque)
    _running: dict[int, Frame] = field(default_factory=dict)
    _early: dict[int, Outcome | None] = field(default_factory=dict)
    """Answers that wait for those of earlier frames; None where there will be none."""
    _order: deque[Frame] = field(default_factory=deque)
    _next_sample_s: float = float("-inf")

    @property
    def idle(self) -> bool:
        """Whether no frame waits for anything."""
        return not self._order and not self._waiting

    @property
    def room(self) -> bool:
        """Whether the sender needn't wait."""
        return self.policy != "all" or len(self._waiting) < AHEAD

    def receive(self, frame: Frame) -> list[tuple[Frame, DropReason]]:
        """Takes the next frame; gives those that will never be analysed, and why."""
        self.next_number = frame.number + 1
        self.received += 1
        if self.policy == "sample":
            period_s = 1 / self.sample_fps
            if frame.time_s < self._next_sample_s - SAMPLING_SLACK * period_s:
                return [(frame, "not_sampled")]
            on_time = frame.time_s < self._next_sample_s + period_s
            self._next_sample_s = (self._next_sample_s if on_time else frame.time_s) + period_s
        gone: list[tuple[Frame, DropReason]] = []
        if self.policy != "all" and self._waiting:
            gone.append((self._waiting.popleft(), "superseded"))
        self._waiting.append(frame)
        return gone

    def start(self) -> Frame | None:
        """The next frame to analyse; None where there is none or enough are under way."""
        if not self._waiting or len(self._running) >= (AHEAD if self.policy == "all" else 1):
            return None
        frame = self._waiting.popleft()
        self._running[frame.number] = frame
        self._order.append(frame)
        return frame

    def renew(self, frame: Frame) -> Frame:
        """The frame that is analysed in the place of one that was started: the newest, where frames may be left out."""
        if self.policy == "all" or not self._waiting:
            return frame
        newest = self._waiting.popleft()
        del self._running[frame.number]
        self._running[newest.number] = newest
        self._order[self._order.index(frame)] = newest
        return newest

    def answered(self, frame: Frame, outcome: Outcome) -> list[tuple[Frame, Outcome]]:
        """The answers that count now, in order."""
        return self._settle(frame, outcome)

    def unanswered(self, frame: Frame) -> list[tuple[Frame, Outcome]]:
        """That frame will have no answer. The answers that count now, in order."""
        return self._settle(frame, None)

    def clear(self) -> list[Frame]:
        """Forgets all that waits or runs; gives it."""
        left = [*self._order, *self._waiting]
        self._waiting.clear()
        self._running.clear()
        self._order.clear()
        self._early.clear()
        return left

    def _settle(self, frame: Frame, outcome: Outcome | None) -> list[tuple[Frame, Outcome]]:
        del self._running[frame.number]
        self._early[frame.number] = outcome
        due: list[tuple[Frame, Outcome]] = []
        while self._order and self._order[0].number in self._early:
            first = self._order.popleft()
            said = self._early.pop(first.number)
            if said is not None:
                due.append((first, said))
        return due
