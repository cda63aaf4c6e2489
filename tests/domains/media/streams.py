"""Encoded streams for the tests of domains/media/video, cut as a network would cut them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domains.core import MediaError
from domains.media.limits import Limits
from domains.media.video import TimedFrame, stream_frames
from tests import clips
from tests.domains.media.pictures import LIMITS

SCAN = clips.moving_scan(25)

LIVE = {
    "h264": clips.h264(SCAN), "hevc": clips.hevc(SCAN), "mpeg2": clips.mpeg2(SCAN), "mpegts": clips.mpegts(SCAN),
    "mp4": clips.fragmented_mp4(SCAN),
}
"""By codec: no B-frames, a key frame every 10."""
REORDERED = {
    "h264": clips.h264(SCAN, live=False), "hevc": clips.hevc(SCAN, live=False), "mpeg2": clips.mpeg2(SCAN, live=False),
    "mpegts": clips.mpegts(SCAN, live=False), "mp4": clips.fragmented_mp4(SCAN, live=False),
}
"""With B-frames: frames are sent in another order than they are shown in."""


class Chunks:
    """A source that gives one chunk after the other. `read_bytes`: how many it has given."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = (chunk for chunk in chunks if chunk)
        self._left = b""
        self.read_bytes = 0

    def read(self, size: int, /) -> bytes:
        chunk = self._left or next(self._chunks, b"")
        self._left = chunk[size:]
        self.read_bytes += len(chunk[:size])
        return chunk[:size]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a stream: its frames, and the error at the end."""

    frames: tuple[TimedFrame, ...]
    error: MediaError | None

    @property
    def events(self) -> list[object]:
        """All that one can tell from it, pixels included."""
        told: list[object] = [
            (frame.time_s, frame.width, frame.height, frame.pixels().tobytes()) for frame in self.frames
        ]
        return [*told, type(self.error), str(self.error)]


def played(codec: str, chunks: Iterable[bytes], limits: Limits = LIMITS) -> Played:
    """The stream to its end."""
    frames: list[TimedFrame] = []
    try:
        frames.extend(stream_frames(codec, Chunks(chunks), limits))
    except MediaError as error:
        return Played(tuple(frames), error)
    return Played(tuple(frames), None)


def cut(stream: bytes, size: int) -> Iterator[bytes]:
    """`stream` in chunks of `size` bytes."""
    return (stream[at : at + size] for at in range(0, len(stream), size))
