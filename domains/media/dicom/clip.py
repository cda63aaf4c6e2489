"""A multi-frame DICOM object as a clip: its frames one after the other, with their times."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.multival import MultiValue

from domains.core import DomainError, MediaHeader
from domains.media.dicom.frame import OpenedObject
from domains.media.dicom.header import VIDEO, read_header
from domains.media.dicom.video import open_stream
from domains.media.limits import Limits
from domains.media.seam import foreign_code
from domains.media.video.clip import Clip
from domains.media.video.frame import DEFAULT_RATE, TimedFrame

BROKEN = "the DICOM object is broken or cut short: it could not be decoded"

_RATES = ("CineRate", "RecommendedDisplayFrameRate")


def open_dicom_clip(payload: bytes, limits: Limits) -> Clip:
    """The clip in a DICOM object of one frame or more.

    Raises UnsupportedMedia for what isn't read here, MediaTooLarge beyond `limits`, CorruptMedia for broken ones.
    """
    with foreign_code(BROKEN):
        header = read_header(payload, limits)
        opened = OpenedObject(payload, header, limits)
        times_s = frame_times_s(opened.dataset, header.frame_count)
        if opened.plugin == VIDEO:
            return _retimed(open_stream(opened.dataset, limits), opened, times_s)
        opened.image(1)
    name = opened.dataset.file_meta.TransferSyntaxUID.name
    return Clip("dicom", name, header.width, header.height, times_s, lambda: _frames(opened, header, times_s))


def frame_times_s(dataset: FileDataset, count: int) -> tuple[float, ...]:
    """When each of `count` frames is shown, in seconds from the first.

    FrameTimeVector (PS3.3 C.7.6.5.1.2) holds the increments in ms, FrameTime (C.7.6.5.1.1) one for all; the rates of
    C.7.6.5 come next, and 25 a second where there is none.
    """
    increments_ms = _numbers(dataset, "FrameTimeVector")
    if len(increments_ms) >= count and all(ms >= 0 for ms in increments_ms[:count]) and sum(increments_ms[1:count]) > 0:
        times_s, at_s = [0.0], 0.0
        for ms in increments_ms[1:count]:
            at_s += ms / 1000
            times_s.append(at_s)
        return tuple(times_s)
    frame_time_ms = next(iter(_numbers(dataset, "FrameTime")), 0.0)
    period_s = frame_time_ms / 1000
    for keyword in _RATES:
        rate = next(iter(_numbers(dataset, keyword)), 0.0)
        period_s = period_s if period_s > 0 else (1 / rate if rate > 0 else 0.0)
    return tuple(index * (period_s if period_s > 0 else 1 / DEFAULT_RATE) for index in range(count))


def _numbers(dataset: FileDataset, keyword: str) -> list[float]:
    """The finite numbers of an element; none where it is absent, empty or no numbers."""
    value = dataset.get(keyword)
    parts = list(value) if isinstance(value, MultiValue) else [value]
    try:
        numbers = [float(part) for part in parts if part not in (None, "")]
    except (TypeError, ValueError):
        return []
    return numbers if all(abs(number) < 1e9 for number in numbers) else []


def _frames(opened: OpenedObject, header: MediaHeader, times_s: tuple[float, ...]) -> Iterator[TimedFrame]:
    for number, time_s in enumerate(times_s, start=1):
        try:
            with foreign_code(BROKEN):
                pixels = opened.image(number).pixels
        except DomainError:
            if number == 1:
                raise
            return
        yield TimedFrame(time_s, header.width, header.height, partial(np.asarray, pixels), opened.regions)


def _retimed(video: Clip, opened: OpenedObject, times_s: tuple[float, ...]) -> Clip:
    """`video` with the times and regions of the object around it, and no more frames than that states."""

    def frames() -> Iterator[TimedFrame]:
        for time_s, frame in zip(times_s, islice(video.frames(), len(times_s)), strict=False):
            yield replace(frame, time_s=time_s, regions=opened.regions)

    return replace(video, format="dicom", times_s=times_s, frames=frames)
