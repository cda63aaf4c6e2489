"""Whole files in video containers."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from domains.core import CorruptMedia
from domains.media.limits import Limits
from domains.media.video.container import TITLES, opened, packets, presented_s
from domains.media.video.frame import TimedFrame, Timeline, believable_rate, timed
from domains.media.video.packets import PacketDecoder

_MPEG_SEQUENCE = b"\0\0\1\xb3"


@dataclass(frozen=True, slots=True)
class Clip:
    """What a file holds. `width`, `height`: of the first frame, upright. `times_s`: when each frame is shown, from the first
    one. `frames()` decodes from the start; it gives fewer than `times_s` has where some are damaged.
    """

    format: str
    codec: str
    width: int
    height: int
    times_s: tuple[float, ...]
    frames: Callable[[], Iterator[TimedFrame]]


def open_video(format_name: str, payload: bytes, limits: Limits) -> Clip:
    """The video in `payload`, which is in `format_name`: one of `clip_format`, or `h264` or `hevc`.

    Raises MediaTooLarge beyond `limits`, UnsupportedMedia and CorruptMedia.
    """
    demuxer = "mpegvideo" if format_name == "mpeg" and payload[:4] == _MPEG_SEQUENCE else format_name
    with opened(io.BytesIO(payload), demuxer, limits, {}) as (container, track):
        rate = believable_rate(track.average_rate)
        stamps: list[float | None] = []
        for packet in packets(container, track):
            if not packet.is_discard:
                stamp = packet.dts if packet.pts is None else packet.pts
                stamps.append(None if stamp is None else float(stamp * packet.time_base))
                limits.check_frames(len(stamps))
        codec = track.codec_context.codec.canonical_name

    def frames() -> Iterator[TimedFrame]:
        return _frames(demuxer, payload, limits)

    first = next(frames(), None)
    if first is None or not stamps:
        raise CorruptMedia(f"{TITLES[demuxer]}: no picture could be decoded; it is cut short or broken")
    return Clip(format_name, codec, first.width, first.height, _times_s(stamps, rate), frames)


def _times_s(stamps: list[float | None], rate: float) -> tuple[float, ...]:
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) < len(stamps):
        return tuple(index / rate for index in range(len(stamps)))
    return tuple(stamp - known[0] for stamp in known)


def _frames(demuxer: str, payload: bytes, limits: Limits) -> Iterator[TimedFrame]:
    with opened(io.BytesIO(payload), demuxer, limits, {}) as (container, track):
        decoder = PacketDecoder(track.codec_context, limits, TITLES[demuxer])
        timeline = Timeline(believable_rate(track.average_rate))
        for packet in packets(container, track):
            for frame in decoder.frames(packet):
                yield timed(frame, timeline.place(presented_s(frame, track)))
        for frame in decoder.frames(None):
            yield timed(frame, timeline.place(presented_s(frame, track)))
        decoder.check_some()
