"""One live stream without any I/O: what comes in, what is analysed, what is told, when it ends. Time is passed in.

        frame ->  FrameQueue  -> start() ... answered() ->  Verdicts  ->  Outbox  -> events
                  (queue.py)       the runner's            (verdicts.py)  (outbox.py)

A stream isn't bound to a connection: while none is attached it goes on with what it has, and waits to be taken up again.
"""

from collections import deque
from dataclasses import dataclass, field

from edge_runtime.node import Answer
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.provenance import provenance_of
from gateway.service.records import Analysis
from gateway.service.streams.events import (
    FRAME_CODECS,
    Dropped,
    DropReason,
    Ended,
    EndReason,
    Flow,
    FrameResult,
    Started,
    StreamStart,
    Verdict,
)
from gateway.service.streams.outbox import Outbox
from gateway.service.streams.queue import Frame, FrameQueue
from gateway.service.verdicts import Verdicts

VERDICT_EVERY_S = 0.1
FLOW_WINDOW_S = 2.0
SLOWER_FROM = 0.1
"""Share of frames dropped, of those that came lately, from which on the sender is told to slow down."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Seconds: `idle_s` without input on a connection, `total_s` from the start, `resume_s` without a connection."""

    idle_s: float = 30.0
    total_s: float = 3600.0
    resume_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """A frame's answer, and the file that it was made from. `age_s`: of the answer when it came."""

    answer: Answer
    content: bytes
    age_s: float


@dataclass(slots=True)
class _Rates:
    """Frames that came and that were answered in the last moments."""

    came: deque[float] = field(default_factory=deque)
    answered: deque[float] = field(default_factory=deque)

    def fps(self, times: deque[float], now: float, began: float) -> float:
        while times and times[0] <= now - FLOW_WINDOW_S:
            times.popleft()
        return len(times) / max(0.1, min(FLOW_WINDOW_S, now - began))


class StreamSession:
    """See above. Raises ServiceError (INVALID_ARGUMENT) for input that contradicts what came before."""

    def __init__(self, start: StreamStart, verdicts: Verdicts, limits: StreamLimits, *, token: str, now: float) -> None:
        self.start_message = start
        self.token = token
        self.verdicts = verdicts
        self.outbox = Outbox()
        self.next_offset = 0
        """Bytes of the encoded stream that came."""
        self._queue: FrameQueue[Said] = FrameQueue(start.policy, start.sample_fps)
        self._limits = limits
        self._began = self._last_input = now
        self._detached_at: float | None = None
        self._last_time_s = 0.0
        self._size: tuple[int, int] | None = None
        self._rates = _Rates()
        self._last_verdict = self._last_flow = now
        self._slow = False
        self._ending: EndReason | None = None
        self._ended = False

    @property
    def encoded(self) -> bool:
        """Whether frames come out of a decoder."""
        return self.start_message.codec not in FRAME_CODECS

    @property
    def next_number(self) -> int:
        """The least number that the next frame may have."""
        return self._queue.next_number

    @property
    def room(self) -> bool:
        """Whether the sender needn't wait."""
        return self._queue.room

    @property
    def ending(self) -> EndReason | None:
        """Why nothing more is taken in; None while it is."""
        return self._ending

    @property
    def complete(self) -> bool:
        """Whether nothing more comes and all is answered: then the verdict is final."""
        return self._ending is not None and self._queue.idle

    @property
    def ended(self) -> bool:
        """Whether the last event was told."""
        return self._ended

    @property
    def attached(self) -> bool:
        """Whether a connection is there."""
        return self._detached_at is None

    def attach(self, received_events: int, now: float, *, resumed: bool) -> Started:
        """A connection is there; gives what it is told first."""
        lost = self.outbox.rewind(received_events)
        self._detached_at = None
        self._last_input = now
        return Started(self.token, self.next_number, self.next_offset, self._limits.resume_s, resumed, lost)

    def detach(self, now: float) -> None:
        """The connection is gone."""
        self._detached_at = now

    def expiry(self) -> tuple[float, EndReason]:
        """When it ends by itself, and why. Moves with what comes."""
        if self._detached_at is not None:
            return min((self._detached_at + self._limits.resume_s, "abandoned"), self._last_moment)
        return min((self._last_input + self._limits.idle_s, "idle"), self._last_moment)

    def touch(self, now: float) -> None:
        """Something came."""
        self._last_input = now

    def duplicate(self, number: int) -> bool:
        """Whether a frame of that number came before."""
        return number < self.next_number

    def receive(
        self, number: int, time_s: float, content: bytes | None, now: float, size: tuple[int, int] | None = None
    ) -> list[Frame]:
        """Takes a frame; gives those that will never be analysed. `size`: width and height where they are known."""
        if size is not None:
            self._check_size(number, size)
        if self.next_number > 1 and time_s <= self._last_time_s:
            time_s = self._last_time_s + max(0.0, now - self._last_input)
        self._last_time_s = time_s
        self._last_input = now
        self._rates.came.append(now)
        gone = self._queue.receive(Frame(number, time_s, now, content))
        for frame, reason in gone:
            self._tell_dropped(frame, reason)
        self._tell_flow(now)
        return [frame for frame, _ in gone]

    def start(self) -> Frame | None:
        """The next frame to analyse; None where there is none, or the reader is too far behind."""
        return None if self.outbox.congested else self._queue.start()

    def renew(self, frame: Frame) -> Frame:
        """A device is free for a frame that was started: the newest takes its place, where the policy says so."""
        newest = self._queue.renew(frame)
        if newest is not frame:
            self._tell_dropped(frame, "superseded")
        return newest

    def answered(self, frame: Frame, answer: Answer, content: bytes, now: float) -> None:
        """A frame has its answer."""
        media = answer.reply.media
        self._check_size(frame.number, (media["width"], media["height"]))
        self._rates.answered.append(now)
        for due, said in self._queue.answered(frame, Said(answer, content, now - frame.received_at)):
            self._count(due, said, now)
        self._tell_flow(now)

    def unanswered(self, frame: Frame, now: float) -> None:
        """A frame will have no answer: no device could give one in time."""
        self._tell_dropped(frame, "not_answered")
        for due, said in self._queue.unanswered(frame):
            self._count(due, said, now)

    def end(self, reason: EndReason) -> list[Frame]:
        """Takes nothing more in. Unless the caller wanted it so, what has no answer is forgotten; gives it. A stream that
        the caller ended may still expire.
        """
        if self._ending not in (None, "finished") or reason == self._ending:
            return []
        self._ending = reason
        return [] if reason == "finished" else self._queue.clear()

    def fail(self) -> None:
        """Ends it for an error, also while the last frames are answered."""
        self._ending = "failed"
        self._queue.clear()

    def finish(self, analysis: Analysis | None) -> None:
        """Tells the last events."""
        if self.verdicts.any:
            self.outbox.add(Verdict(self.verdicts.running()))
        reason = self._ending or "finished"
        self.outbox.add(Ended(reason, self._queue.received, self.verdicts.analysed, self._dropped, analysis))
        self._ended = True

    @property
    def media(self) -> dict[str, object]:
        """What came, for the stored answer; without size and hash of the bytes."""
        width, height = self._size or (0, 0)
        duration_s = self._last_time_s
        rate = (self._queue.received - 1) / duration_s if duration_s > 0 else 0.0
        return {
            "format": "stream", "width": width, "height": height, "frame": 0, "frame_count": self._queue.received,
            "duration_s": round(duration_s, 3), "frame_rate": round(rate, 3), "codec": self.start_message.codec,
        }

    @property
    def _dropped(self) -> int:
        return self._queue.received - self.verdicts.analysed

    @property
    def _last_moment(self) -> tuple[float, EndReason]:
        return self._began + self._limits.total_s, "limit"

    def _check_size(self, number: int, size: tuple[int, int]) -> None:
        if self._size is None:
            self._size = size
        elif size != self._size:
            (width, height), (was_width, was_height) = size, self._size
            raise ServiceError(
                ErrorCode.INVALID_ARGUMENT, f"frame {number} has {width}x{height} pixels, those before it "
                f"{was_width}x{was_height}: begin a new stream where the size changes", parameter="frame",
            )

    def _count(self, frame: Frame, said: Said, now: float) -> None:
        unusable = self.verdicts.add(frame.number, frame.time_s, said.content, said.answer)
        wanted = self.start_message.with_pictures
        self.outbox.add(FrameResult(
            frame.number, frame.time_s, said.answer.reply.document, unusable, round(said.age_s * 1000, 1),
            provenance_of(said.answer), said.answer.pictures if wanted else {},
        ))
        if now - self._last_verdict >= VERDICT_EVERY_S or self.verdicts.analysed == 1:
            self._last_verdict = now
            self.outbox.add(Verdict(self.verdicts.running()))

    def _tell_dropped(self, frame: Frame, reason: DropReason) -> None:
        self.outbox.add(Dropped(frame.number, frame.number, 1, reason))

    def _tell_flow(self, now: float) -> None:
        if now - self._last_flow < FLOW_WINDOW_S:
            return
        received = self._rates.fps(self._rates.came, now, self._began)
        answered = self._rates.fps(self._rates.answered, now, self._began)
        slow = not self.room or (self.start_message.policy == "latest" and answered < received * (1 - SLOWER_FROM))
        if slow or self._slow:
            self.outbox.hint(Flow("slower" if slow else "ok", round(answered, 1), round(received, 1)))
        self._last_flow, self._slow = now, slow
