"""Whole files: video containers and multi-frame DICOM objects."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from domains.core import CorruptMedia, Pixels, UnsupportedMedia
from domains.formats import clip_format
from domains.media.limits import Limits
from domains.media.sniff import sniff
from domains.media.video.container import TITLES, opened, packets, presented_s
from domains.media.video.frame import TimedFrame, Timeline, believable_rate, timed
from domains.media.video.packets import PacketDecoder

NOT_A_CLIP = "not a clip format that is read here: MP4, MOV, AVI, WebM, GIF, MPEG or DICOM"

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


def open_clip(payload: bytes, limits: Limits) -> Clip:
    """The clip in `payload`, with one frame decoded to see how it lies.

    Raises EmptyMedia, MediaTooLarge beyond `limits`, UnsupportedMedia for what is no clip or not read here, CorruptMedia
    where no frame can be decoded.
    """
    limits.check_payload(len(payload))
    format_name = clip_format(payload)
    if format_name:
        return open_video(format_name, payload, limits)
    if not _is_dicom(payload):
        raise UnsupportedMedia(NOT_A_CLIP)
    from domains.media.dicom.clip import open_dicom_clip

    return open_dicom_clip(payload, limits)


def open_video(format_name: str, payload: bytes, limits: Limits) -> Clip:
    """The video in `payload`, which is in `format_name`: one of `clip_format`, or `h264` or `hevc`. Raises as `open_clip`."""
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


def read_clip(payload: bytes, count: int) -> list[Pixels]:
    """At most `count` frames, evenly spaced from the first to the last, uint8 RGB (height, width, 3), upright.

    For files of one's own, so without limits of size. Raises as `open_clip` does.
    """
    clip = open_clip(payload, Limits(max_bytes=2**40, max_frames=10**6, max_decoded_bytes=2**40, min_side=1))
    frames = list(clip.frames())
    wanted = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[index].pixels() for index in wanted]


def _is_dicom(payload: bytes) -> bool:
    try:
        return sniff(payload) == "dicom"
    except UnsupportedMedia:
        return False
