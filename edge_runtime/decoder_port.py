"""The port to decoders: bytes of a stream or a clip in, frames out. No numpy and no decoder is loaded here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame that was decoded. `number`: from 1. `time_s`: presentation time from the first frame. `width`, `height`: of
    the upright picture; they can change within a stream.
    """

    number: int
    time_s: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ClipHeader:
    """What a clip's file holds. `width`, `height`: of the first frame, upright. `times_s`: when each frame is shown; fewer
    may come where some are damaged.
    """

    format: str
    codec: str
    width: int
    height: int
    times_s: tuple[float, ...]

    @property
    def frame_count(self) -> int:
        """Frames that the file states."""
        return len(self.times_s)

    @property
    def frame_rate(self) -> float:
        """Frames a second on the average; 0 for a single frame."""
        return (self.frame_count - 1) / self.times_s[-1] if self.times_s[-1] > 0 else 0.0

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return self.frame_count / self.frame_rate if self.frame_rate else 0.0


class Decoder(ABC):
    """Bytes in, frames out. Use from one event loop; `feed` and `finish` from one task, the rest from another or the same."""

    @abstractmethod
    async def feed(self, chunk: bytes) -> None:
        """The next bytes, cut anywhere; waits while enough of them wait already. Raises as `next_frame` does."""

    @abstractmethod
    async def finish(self) -> None:
        """No more bytes come."""

    @abstractmethod
    async def next_frame(self) -> DecodedFrame | None:
        """The next frame, in order of presentation; None after the last one.

        Raises MediaError for bytes that can't be decoded (frames before them come first), DecoderFailed where the
        process crashed, hung or ran out of memory.
        """

    @abstractmethod
    async def take(self, number: int) -> bytes:
        """That frame as PNM, upright; it is then gone. Raises DecoderFailed, and ValueError for a frame that isn't held."""

    @abstractmethod
    def drop(self, number: int) -> None:
        """That frame isn't wanted. One that isn't held is passed over."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the process. Idempotent."""
