"""Small video files for tests: each frame a grey ramp with its number as a bright column."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

WIDTH, HEIGHT = 96, 64
STEP = 3
"""Columns by which the bright column moves from frame to frame."""


def make_video(path: Path, codec: str = "libx264", *, times_ms: tuple[int, ...] = tuple(range(0, 400, 40)), rotation: int = 0) -> Path:
    """A file with a frame at each of these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000) if codec != "mpeg2video" else Fraction(1, 25)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = time_ms if codec != "mpeg2video" else number
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def picture(number: int) -> "np.typing.NDArray[np.uint8]":
    """RGB (64, 96, 3)."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[...] = np.linspace(20, 120, HEIGHT, dtype=np.uint8)[:, None, None]
    left = number * STEP
    pixels[:, left : left + 6] = 250
    return pixels
