"""Encoded streams, whose bytes come when they come: elementary ones through FFmpeg's parsers, others through its demuxers.

Whatever the pieces in which bytes are read, the frames, their times and the error at the end are the same.
"""

import struct
from collections.abc import Iterator
from typing import cast

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from domains.core import CorruptMedia, EmptyMedia, UnsupportedMedia
from domains.formats import clip_format
from domains.media.limits import MEBIBYTE, Limits
from domains.media.sniff import sniff
from domains.media.video.annexb import START_CODE, codec_by_parameter_sets
from domains.media.video.container import Readable, opened, packets, presented_s
from domains.media.video.frame import TimedFrame, Timeline, believable_rate, timed
from domains.media.video.packets import PacketDecoder

STREAM_CODECS = ("h264", "hevc", "mpeg2", "mpegts", "mp4")

_TITLES = {"h264": "H.264", "hevc": "HEVC", "mpeg2": "MPEG-2 video", "mpegts": "MPEG transport stream",
           "mp4": "fragmented MP4"}
_DECODERS = {"h264": "h264", "hevc": "hevc", "mpeg2": "mpeg2video"}
_BEGINNINGS = {"jpeg": "a JPEG picture", "png": "a PNG picture", "webp": "a WebP picture", "tiff": "a TIFF picture",
               "bmp": "a BMP picture", "heic": "a HEIC picture", "pnm": "a PNM picture", "dicom": "a DICOM object",
               "mp4": "MP4", "mov": "QuickTime", "avi": "AVI", "webm": "WebM", "gif": "GIF", "mpeg": "MPEG-2",
               "mpegts": "an MPEG transport stream", "program": "an MPEG program stream", "h264": "H.264", "hevc": "HEVC"}
_ACCEPTED = {"mpeg2": {"mpeg"}, "mpegts": {"mpegts"}, "mp4": {"mp4", "mov"}}

_IMMEDIATE = {"probesize": "2048", "analyzeduration": "1", "fpsprobesize": "0"}
"""FFmpeg would read seconds of a stream before it gives out the first packet."""

_PACK_START = b"\0\0\1\xba"
_TS_PACKET = 188

PREFIX_BYTES = 4 * _TS_PACKET
"""Looked at before anything is decoded: three packets of a transport stream, wherever its bytes begin."""
SEARCHED_BYTES = 65_536
"""Without a start code in so many there is no elementary stream."""
MAX_SILENT_BYTES = 16 * MEBIBYTE
"""Without a packet or, at first, a frame. An intra frame of 4K at the highest quality has half of that."""
_READ_BYTES = 65_536


def stream_frames(codec: str, source: Readable, limits: Limits) -> Iterator[TimedFrame]:
    """The frames of a stream in `codec`, one of STREAM_CODECS, from the first one that can be decoded.

    Raises EmptyMedia where nothing comes, UnsupportedMedia where it is something else than announced, MediaTooLarge for
    frames beyond `limits`, CorruptMedia where nothing can be decoded, at first or any more.
    """
    prefix = _Prefix(source, codec)
    prefix.check()
    return _elementary(codec, prefix, limits) if codec in _DECODERS else _contained(codec, prefix, limits)


class _Prefix:
    """A source whose first bytes are looked at before they are read."""

    def __init__(self, source: Readable, codec: str) -> None:
        self._source, self._codec = source, codec
        self._ahead = bytearray()
        self._since_frame = 0
        self.ended = False
        while len(self._ahead) < PREFIX_BYTES and (more := source.read(PREFIX_BYTES)):
            self._ahead += more

    def check(self) -> None:
        """Raises EmptyMedia for no bytes, UnsupportedMedia where they begin as something else."""
        head = bytes(self._ahead)
        if not head:
            raise EmptyMedia("there are no bytes: a stream was expected")
        found = "program" if head.startswith(_PACK_START) else clip_format(head) or _still_format(head)
        if self._codec == "mpegts" and not found:
            found = next((name for at in range(_TS_PACKET) if (name := clip_format(head[at:])) == "mpegts"), "")
        if found and found not in _ACCEPTED.get(self._codec, ()):
            raise UnsupportedMedia(_otherwise(self._codec, found))
        if self._codec in ("mp4", "mpegts") and not found:
            raise CorruptMedia(f"{_TITLES[self._codec]}: it doesn't begin as one")
        if self._codec == "mp4" and _pictures_come_first(head):
            raise UnsupportedMedia("an MP4 file whose index comes behind its pictures can't be streamed: send it as a file")

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes. Raises CorruptMedia where too many bring no frame."""
        if self._ahead:
            data = bytes(self._ahead[:size])
            del self._ahead[:size]
        else:
            data = self._source.read(size)
        self.ended = not data
        self._since_frame += len(data)
        if self._since_frame > MAX_SILENT_BYTES:
            raise CorruptMedia(f"{_TITLES[self._codec]}: no picture in {MAX_SILENT_BYTES // MEBIBYTE} MiB")
        return data

    def frame(self) -> None:
        """A frame has come of what was read."""
        self._since_frame = 0


def _contained(codec: str, source: _Prefix, limits: Limits) -> Iterator[TimedFrame]:
    with opened(source, codec, limits, _IMMEDIATE) as (container, track):
        decoder = PacketDecoder(track.codec_context, limits, _TITLES[codec])
        timeline = Timeline(believable_rate(track.average_rate))
        for packet in packets(container, track):
            for frame in decoder.frames(packet):
                source.frame()
                yield timed(frame, timeline.place(presented_s(frame, track)))
        for frame in decoder.frames(None):
            yield timed(frame, timeline.place(presented_s(frame, track)))
        decoder.check_some()
        if not source.ended:
            raise CorruptMedia(f"{_TITLES[codec]}: it is broken from some byte on")


def _elementary(codec: str, source: _Prefix, limits: Limits) -> Iterator[TimedFrame]:
    context = cast("VideoCodecContext", av.CodecContext.create(_DECODERS[codec], "r"))
    decoder = PacketDecoder(context, limits, _TITLES[codec])
    timeline: Timeline | None = None
    begun = bytearray()
    for data in iter(lambda: source.read(_READ_BYTES), b""):
        if not decoder.given and len(begun) < SEARCHED_BYTES:
            begun += data
            _check_begun(codec, bytes(begun[:SEARCHED_BYTES]))
        for packet in _parsed(context, data, codec):
            for frame in decoder.frames(packet):
                source.frame()
                timeline = timeline or Timeline(believable_rate(context.framerate))
                yield timed(frame, timeline.place(None))
        if not decoder.given:
            decoder.check_size()
    rest: list[Packet[VideoStream] | None] = [*_parsed(context, None, codec), None]
    for last in rest:
        for frame in decoder.frames(last):
            timeline = timeline or Timeline(believable_rate(context.framerate))
            yield timed(frame, timeline.place(None))
    decoder.check_some()


def _check_begun(codec: str, begun: bytes) -> None:
    if len(begun) >= SEARCHED_BYTES and START_CODE not in begun:
        raise CorruptMedia(f"{_TITLES[codec]}: there is no start code in its first {SEARCHED_BYTES} bytes")
    found = codec_by_parameter_sets(begun)
    if found and found != codec:
        raise UnsupportedMedia(_otherwise(codec, found))


def _parsed(context: VideoCodecContext, data: bytes | None, codec: str) -> "list[Packet[VideoStream]]":
    try:
        return context.parse(data)
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise CorruptMedia(f"{_TITLES[codec]}: it is broken") from error


def _otherwise(codec: str, found: str) -> str:
    return f"the stream was announced as {_TITLES[codec]}, but it begins as {_BEGINNINGS[found]} does"


def _pictures_come_first(head: bytes) -> bool:
    """Whether there is a box of media data and no index before it: ISO/IEC 14496-12 section 8.1.1."""
    at = 0
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind == b"mdat":
            return True
        if kind not in (b"ftyp", b"free", b"skip", b"wide") or size < 8:
            return False
        at += size
    return False


def _still_format(head: bytes) -> str:
    try:
        return sniff(head)
    except UnsupportedMedia:
        return ""
