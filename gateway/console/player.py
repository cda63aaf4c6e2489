"""A video file, a camera or a network stream, played for `hedgerow stream`: a file at its own pace, a camera as it comes."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer

from domains.core.image import Pixels

JPEG_QUALITY = 90
LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtp", "udp", "srt"})
OWN_CODECS = {"h264": "h264", "hevc": "hevc", "mpeg2video": "mpeg2"}
"""Encodings that a gateway takes as they are, by FFmpeg's names."""
_RAW_FORMATS = frozenset({"h264", "hevc", "mpegvideo"})
_FALLBACK_RATE = Fraction(25)
_OPEN_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 30.0


class SourceError(Exception):
    """The source can't be opened or read; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame: its number from 1, its time in seconds from the first one, and itself, upright, as JPEG."""

    number: int
    time_s: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of the source's own encoded stream, and when they are due, in seconds."""

    time_s: float
    content: bytes


class Source:
    """An opened source. `live`: it comes at its own pace, and can't be held back."""

    def __init__(self, container: InputContainer, *, live: bool) -> None:
        self._container = container
        self._stream = container.streams.video[0]
        self.live = live

    @property
    def codec(self) -> str:
        """The gateway's name for the source's own encoding: that in which `chunks` come; empty where only pictures will do:
        other encodings, and pictures that must be turned, which an encoded stream doesn't say.
        """
        own = OWN_CODECS.get(self._stream.codec_context.name, "")
        if not own or self._turned:
            return ""
        return own if self._container.format.name in _RAW_FORMATS else "mpegts"  # which keeps the times of frames

    @property
    def _turned(self) -> bool:
        with av.open(self._container.name) as probe:
            frame = next(probe.decode(video=0), None)
            return frame is not None and frame.rotation != 0

    def play(self, stop: threading.Event, *, chunks: bool, pictures: bool, speed: float = 1.0) -> Iterator[Picture | Chunk]:
        """What was asked for, each when it is due, until the end or until `stop` is set. Raises SourceError."""
        pace = _Pace(stop, 0.0 if self.live else speed)
        cutter = _Cutter(self._stream, raw=self.codec != "mpegts") if chunks else None
        number, first_s = 0, 0.0
        try:
            for packet in self._container.demux(self._stream):
                if cutter is not None:
                    for chunk in cutter.cut(packet):
                        if not pace.wait(chunk.time_s):
                            return
                        yield chunk
                for frame in packet.decode() if pictures else ():
                    number += 1
                    time_s = frame.time if frame.time is not None else float((number - 1) / self._rate)
                    first_s = time_s if number == 1 else first_s
                    if cutter is None and not pace.wait(time_s - first_s):
                        return
                    yield Picture(number, time_s - first_s, _jpeg(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), frame.rotation))
        except av.error.FFmpegError as error:
            if number == 0:
                raise SourceError(f"nothing in it can be read ({error.strerror})") from error

    @property
    def _rate(self) -> Fraction:
        return self._stream.average_rate or self._stream.guessed_rate or _FALLBACK_RATE

    def close(self) -> None:
        """Lets go of it."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(name: str) -> Source:
    """A file, `/dev/videoN`, or a URL that FFmpeg knows. Raises SourceError."""
    scheme = urlsplit(name).scheme if "://" in name else ""
    camera = name.startswith("/dev/video")
    if not scheme and not Path(name).exists():
        raise SourceError(f"there is no {'camera' if camera else 'file'} {name}")
    options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
    if scheme or camera:
        options["fflags"] = "nobuffer"
    shown = f"{scheme}://{urlsplit(name).hostname}" if scheme else name  # a camera's URL can hold its password
    try:
        container = av.open(name, format="v4l2" if camera else None, options=options,
                            timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{shown} can't be opened as a video ({error.strerror}); DICOM is for `hedgerow analyze`") from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"{shown} holds no video")
    endless = bool(scheme) and container.duration is None
    return Source(container, live=camera or scheme in LIVE_SCHEMES or endless)


class _Pace:
    """Holds a file back to `speed` times its own pace; 0 doesn't."""

    def __init__(self, stop: threading.Event, speed: float) -> None:
        self._stop = stop
        self._speed = speed
        self._started = time.monotonic()

    def wait(self, time_s: float) -> bool:
        """Waits until what belongs to `time_s` is due; False once the playing was stopped."""
        due = self._started + time_s / self._speed if self._speed else 0.0
        return not self._stop.wait(max(0.0, due - time.monotonic()))


class _Cutter:
    """Makes chunks of packets: as they are, or put into an MPEG transport stream (which turns length-prefixed H.264 and HEVC
    into Annex B).
    """

    def __init__(self, stream: Any, *, raw: bool) -> None:
        self._raw = raw
        self._made = bytearray()
        self._first_s: float | None = None
        self._time_s = 0.0
        self._step_s = float(1 / (stream.average_rate or _FALLBACK_RATE))
        if not raw:
            self._muxer = av.open(self, "w", format="mpegts", options={"flush_packets": "1"})
            self._track = self._muxer.add_stream_from_template(stream)

    def write(self, content: bytes) -> int:
        """What the muxer calls."""
        self._made += content
        return len(content)

    def cut(self, packet: Any) -> Iterator[Chunk]:
        """The chunks of a packet, the last of which has no size."""
        if packet.size:
            if packet.dts is None or self._raw:
                self._time_s += self._step_s
            else:
                seconds = float(packet.dts * packet.time_base)
                self._first_s = seconds if self._first_s is None else self._first_s
                self._time_s = seconds - self._first_s
            if self._raw:
                yield Chunk(self._time_s, bytes(packet))
                return
            decoded_too = packet.stream
            packet.stream = self._track
            self._muxer.mux(packet)
            packet.stream = decoded_too
        elif not self._raw:
            self._muxer.close()
        if self._made:
            yield Chunk(self._time_s, bytes(self._made))
            self._made.clear()


def _jpeg(pixels: Pixels, rotation: int) -> bytes:
    """RGB (h, w, 3) turned upright, as JPEG."""
    upright = np.rot90(pixels, round(rotation / 90))
    bgr = cv2.cvtColor(np.ascontiguousarray(upright), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
