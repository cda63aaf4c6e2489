"""A frame with its time, and how a frame of FFmpeg becomes upright RGB."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter

from domains.core import Pixels, UltrasoundRegion
from domains.media.raster import upright

_ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}
"""Signs of a, b, c, d of a display matrix (ISO/IEC 14496-12 section 6.2.2) to EXIF's orientation."""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One decoded frame, not converted yet.

    `time_s`: presentation time from the first frame. `width`, `height`: of the upright picture. `pixels()`: uint8 RGB of
    shape (height, width, 3).
    """

    time_s: float
    width: int
    height: int
    pixels: Callable[[], Pixels]
    regions: tuple[UltrasoundRegion, ...] = ()


def timed(frame: av.VideoFrame, time_s: float) -> TimedFrame:
    """`frame` of FFmpeg, turned as its display matrix asks."""
    orientation = _orientation(frame)
    width, height = (frame.height, frame.width) if orientation >= 5 else (frame.width, frame.height)
    return TimedFrame(time_s, width, height, partial(_upright_rgb, frame, orientation))


def _upright_rgb(frame: av.VideoFrame, orientation: int) -> Pixels:
    # frame.to_ndarray(format=...) would start threads, and the frame would keep them
    converted = VideoReformatter().reformat(frame, format="rgb24", threads=1)
    return upright(np.asarray(converted.to_ndarray(), np.uint8), orientation)


def _orientation(frame: av.VideoFrame) -> int:
    """EXIF's 1 to 8; 1 where there is no matrix, or one that does something else than turn and mirror."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(cast("SideData", matrix)))
    return _ORIENTATIONS.get((_sign(a), _sign(b), _sign(c), _sign(d)), 1)


def _sign(fixed_point: int) -> int:
    """-1, 0 or 1 of a 16.16 number; writers round the cosine of 90 degrees to something that isn't quite 0."""
    return 0 if abs(fixed_point) < 64 else (1 if fixed_point > 0 else -1)


class Timeline:
    """Presentation times in seconds from the first frame: never backwards, whatever the stream says."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._first_s: float | None = None
        self._last_s: float | None = None

    def place(self, presented_s: float | None, *, skipped: int = 0) -> float:
        """The next frame's time. `presented_s`: what the stream says; None where it says nothing: then the frame comes
        one period after the last, and one more for each of the `skipped` between them.
        """
        if self._last_s is None:
            self._first_s, self._last_s = presented_s, 0.0
            return 0.0
        if presented_s is None or self._first_s is None:
            self._last_s += (1 + skipped) / self.rate
        else:
            self._last_s = max(self._last_s, presented_s - self._first_s)
        return self._last_s


DEFAULT_RATE = 25.0


def believable_rate(rate: object) -> float:
    """`rate` in frames a second as a float, or 25 where it is absent or absurd: FFmpeg's guesses can be in the thousands."""
    try:
        number = float(rate)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return DEFAULT_RATE
    return number if 0.1 <= number <= 240 else DEFAULT_RATE
