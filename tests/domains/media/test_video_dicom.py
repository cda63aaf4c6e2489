"""Clips in DICOM objects, native and as video: every frame, at the times that the object states, with its regions."""

from typing import Any

import numpy as np
import pytest

from domains.core import CorruptMedia, InvalidParameter, MediaTooLarge, UnsupportedMedia
from domains.media import Limits, read_header
from domains.media.video import open_clip
from tests import clips
from tests.domains.media.pictures import LIMITS, difference, opened

SCAN = clips.moving_scan(8)
MPEG2, MPEG2_HIGH, AVC, AVC_STEREO, HEVC = (f"1.2.840.10008.1.2.4.{last}" for last in (100, 101, 102, 106, 107))

VIDEOS = {
    "MPEG-2, elementary": (clips.mpeg2(SCAN, live=False), MPEG2, 0),
    "MPEG-2, program stream": (clips.mpeg_program(SCAN), MPEG2_HIGH, 0),
    "MPEG-2, fragmentable": (clips.mpeg2(SCAN), MPEG2 + ".1", 1000),
    "H.264 in MP4": (clips.mp4(SCAN), AVC, 0),
    "H.264 in a transport stream": (clips.mpegts(SCAN), AVC_STEREO, 0),
    "H.264, bare, fragmentable": (clips.h264(SCAN, live=False), AVC + ".1", 512),
    "HEVC, bare": (clips.hevc(SCAN), HEVC, 0),
    "HEVC in MP4": (clips.mp4(SCAN, codec="libx265"), HEVC, 0),
}


def nearest(pixels: np.ndarray) -> int:
    return int(np.argmin([difference(pixels, original) for original in SCAN]))


@pytest.mark.parametrize("name", VIDEOS)
def test_video_in_an_object_is_read_frame_by_frame_and_as_a_clip(name: str) -> None:
    video, syntax, fragment_bytes = VIDEOS[name]
    payload = clips.dicom_video(SCAN, video, syntax, fragment_bytes=fragment_bytes)
    header = read_header(payload, LIMITS)
    assert (header.format, header.width, header.height, header.frame_count) == ("dicom", 96, 80, 8)
    for number in (1, 5, 8):
        image = opened(payload, frame_number=number)
        assert (image.frame_number, image.frame_count) == (number, 8)
        assert nearest(image.pixels) == number - 1
    clip = open_clip(payload, LIMITS)
    assert clip.format == "dicom"
    assert clip.times_s == pytest.approx([0.04 * index for index in range(8)])
    assert [nearest(frame.pixels()) for frame in clip.frames()] == list(range(8))
    assert [frame.time_s for frame in clip.frames()] == pytest.approx(clip.times_s)


@pytest.mark.parametrize("grey", [True, False])
def test_a_native_clip_is_read_once_and_keeps_its_regions(grey: bool) -> None:
    payload = clips.dicom_clip(SCAN, regions=[(0, 10, 50, 70)], grey=grey)
    clip = open_clip(payload, LIMITS)
    frames = list(clip.frames())
    assert [difference(frame.pixels(), original) for frame, original in zip(frames, SCAN, strict=True)] == [0] * 8
    assert [frame.time_s for frame in frames] == pytest.approx([0.1 * index for index in range(8)])
    region, = frames[3].regions
    assert (region.x0, region.y0, region.x1, region.y1, region.is_2d) == (0, 10, 50, 70, True)


@pytest.mark.parametrize(("elements", "times_s"), [
    ({"FrameTime": 50}, [0.05 * index for index in range(8)]),
    ({"FrameTimeVector": [0, 20, 20, 500, 20, 20, 20, 20]}, [0, 0.02, 0.04, 0.54, 0.56, 0.58, 0.6, 0.62]),
    ({"FrameTimeVector": [0, 20], "FrameTime": 50}, [0.05 * index for index in range(8)]),
    ({"CineRate": 20, "RecommendedDisplayFrameRate": 10}, [0.05 * index for index in range(8)]),
    ({"RecommendedDisplayFrameRate": 10}, [0.1 * index for index in range(8)]),
    ({"FrameTime": 0}, [0.04 * index for index in range(8)]),
    ({"FrameTime": "", "CineRate": -1}, [0.04 * index for index in range(8)]),
    ({}, [0.04 * index for index in range(8)]),
], ids=["FrameTime", "FrameTimeVector", "a vector that is too short", "CineRate", "display rate", "zero", "nonsense", "none"])
def test_frames_come_at_the_times_that_the_object_states(elements: dict[str, Any], times_s: list[float]) -> None:
    payload = clips.dicom_clip(SCAN, frame_time_ms=None, **elements)
    assert open_clip(payload, LIMITS).times_s == pytest.approx(times_s)


def test_an_object_that_states_more_frames_than_its_video_has_shows_those_and_refuses_the_others() -> None:
    payload = clips.dicom_video(SCAN, clips.mpeg2(SCAN[:5]), MPEG2)
    assert len(list(open_clip(payload, LIMITS).frames())) == 5
    with pytest.raises(CorruptMedia, match="frame 7 is not in its video"):
        opened(payload, frame_number=7)
    with pytest.raises(InvalidParameter, match="8 frames"):
        opened(payload, frame_number=9)


def test_what_is_wrong_with_video_in_an_object_is_named() -> None:
    with pytest.raises(CorruptMedia, match="its video is 48x40, its header says 96x80"):
        opened(clips.dicom_video(SCAN, clips.mpeg2(clips.moving_scan(8, 48, 40)), MPEG2))
    for noise in (bytes(3000), b"\0\0\1\xb3" + bytes(3000)):
        payload = clips.dicom_video(SCAN, noise, MPEG2)
        with pytest.raises(CorruptMedia):
            opened(payload)
        with pytest.raises(CorruptMedia):
            open_clip(payload, LIMITS)
    with pytest.raises(MediaTooLarge):
        open_clip(clips.dicom_video(SCAN, clips.mpeg2(SCAN), MPEG2), Limits(max_frames=7))
    whole = clips.dicom_video(SCAN, clips.mpeg2(SCAN), MPEG2)
    with pytest.raises(CorruptMedia, match=r"not whole|cut short"):
        open_clip(whole[: len(whole) // 2], LIMITS)


def test_colour_spaces_of_video_are_refused_outside_of_it() -> None:
    payload = clips.dicom_clip(SCAN, grey=False, PhotometricInterpretation="YBR_PARTIAL_420")
    with pytest.raises(UnsupportedMedia, match="colour space"):
        read_header(payload, LIMITS)
