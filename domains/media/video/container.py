"""Containers: only named formats and codecs are opened, and only their first real video track is read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, cast

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from domains.core import CorruptMedia, UnsupportedMedia
from domains.media.limits import Limits
from domains.media.video.packets import check_size, padded_pixels

TITLES = {"mp4": "MP4", "mov": "MOV", "avi": "AVI", "webm": "WebM or Matroska", "gif": "GIF", "mpeg": "MPEG",
          "mpegts": "MPEG transport stream", "mpegvideo": "MPEG video", "h264": "H.264", "hevc": "HEVC"}
_DEMUXERS = {"webm": "matroska"}
"""FFmpeg's name of a format where it isn't ours."""

_CODECS = frozenset({
    "av1", "dvvideo", "ffv1", "gif", "h263", "h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2",
    "msmpeg4v3", "rawvideo", "vp8", "vp9",
})
"""What cameras, ultrasound devices, phones and browsers write. FFmpeg has hundreds more, less well kept."""


class Readable(Protocol):
    """A source of bytes; `b""` is its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, at least one unless at the end; may wait."""


@contextmanager
def opened(source: Readable, format_name: str, limits: Limits,
           options: Mapping[str, str]) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container in `source` and its video track; a source that can seek is a file, else a stream.

    Raises CorruptMedia where it can't be opened, UnsupportedMedia where it holds no video or one that isn't read here,
    MediaTooLarge beyond `limits`.
    """
    title = TITLES[format_name]
    try:
        container = cast("InputContainer", av.open(source, format=_DEMUXERS.get(format_name, format_name),
                                                   options={**options, "max_pixels": str(padded_pixels(limits))}))
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError, LookupError) as error:
        raise CorruptMedia(f"{title}: it is broken or cut short: it could not be opened") from error
    with container:
        yield container, _video_track(container, limits, title)


def packets(container: InputContainer, track: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """The packets of `track` up to where the container ends or breaks."""
    try:
        for packet in container.demux(track):
            if packet.size:
                yield packet
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError):
        return


def presented_s(frame: av.VideoFrame, track: VideoStream) -> float | None:
    """When `frame` is shown by the clock of its container, in seconds; None where it isn't stated."""
    if frame.pts is None or track.time_base is None:
        return None
    return float(frame.pts * track.time_base)


def _video_track(container: InputContainer, limits: Limits, title: str) -> VideoStream:
    for track in container.streams.video:
        if track.disposition & Disposition.attached_pic:
            continue
        context = track.codec_context
        if context is None or context.codec.canonical_name not in _CODECS:
            raise UnsupportedMedia(f"{title}: the codec of its video isn't read here")
        if context.width and context.height:
            check_size(context.width, context.height, limits)
        return track
    raise UnsupportedMedia(f"{title}: it holds no video")
