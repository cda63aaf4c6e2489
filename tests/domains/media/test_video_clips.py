"""Clips as files: every frame, upright, at its time, whatever the container; what is broken is named."""

import contextlib
import random

import numpy as np
import pytest

from domains.core import CorruptMedia, EmptyMedia, MediaError, MediaTooLarge, UnsupportedMedia
from domains.media.limits import Limits
from domains.media.video import Clip, open_clip, read_clip
from tests import clips
from tests.domains.media.pictures import LIMITS, difference, jpeg, scene, turned
from tests.domains.media.pictures import pillow as as_pillow

SCAN = clips.moving_scan(12)
FIELD = clips.moving_field(6)
FILES = {
    "mp4": clips.mp4(SCAN), "mp4, HEVC": clips.mp4(SCAN, codec="libx265"), "mov": clips.mov(SCAN),
    "webm": clips.webm(SCAN), "avi": clips.avi(SCAN), "avi, MJPEG": clips.encoded(SCAN, "avi", "mjpeg", pix_fmt="yuvj420p"),
    "gif": clips.gif(SCAN), "mpegts": clips.mpegts(SCAN, live=False), "fragmented mp4": clips.fragmented_mp4(SCAN),
    "mpeg": clips.mpeg_program(SCAN), "mpeg, elementary": clips.mpeg2(SCAN, live=False),
}


def opened(payload: bytes, limits: Limits = LIMITS) -> Clip:
    return open_clip(payload, limits)


@pytest.mark.parametrize("name", FILES)
def test_every_frame_of_a_clip_is_shown_in_order_at_its_time(name: str) -> None:
    clip = opened(FILES[name])
    frames = list(clip.frames())
    rate = 25 if name.startswith("mpeg,") or name == "mpeg" else 10
    assert (clip.width, clip.height, len(frames)) == (96, 80, 12)
    assert clip.times_s == pytest.approx([index / rate for index in range(12)], abs=1e-3)
    assert [frame.time_s for frame in frames] == pytest.approx(clip.times_s, abs=1e-3)
    # GIF has 8 bits for all colours together, the others lose a little: still each frame is nearest to its own original.
    for number, frame in enumerate(frames):
        distances = [difference(frame.pixels(), original) for original in SCAN]
        assert int(np.argmin(distances)) == number
        assert distances[number] < (16 if name == "gif" else 13)


def test_colours_stay_what_they_were() -> None:
    for frame, original in zip(opened(clips.mp4(FIELD)).frames(), FIELD, strict=True):
        assert difference(frame.pixels(), original) < 6


def test_a_variable_frame_rate_is_kept() -> None:
    times_s = [0.0, 0.04, 0.08, 0.5, 0.54, 1.6]
    clip = opened(clips.mp4(FIELD, times_s=times_s))
    assert clip.times_s == pytest.approx(times_s, abs=1e-3)
    assert [frame.time_s for frame in clip.frames()] == pytest.approx(times_s, abs=1e-3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_clip_filmed_sideways_comes_upright(degrees: int) -> None:
    clip = opened(clips.rotated_mp4(FIELD, degrees))
    upright = [np.rot90(frame, -degrees // 90) for frame in FIELD]
    assert (clip.height, clip.width) == upright[0].shape[:2]
    for frame, expected in zip(clip.frames(), upright, strict=True):
        assert (frame.height, frame.width) == expected.shape[:2]
        assert difference(frame.pixels(), expected) < 6


@pytest.mark.parametrize(("matrix", "orientation"), [
    ((-1, 0, 0, 1), 2), ((1, 0, 0, -1), 4), ((0, 1, 1, 0), 5), ((0, -1, -1, 0), 7),
], ids=["mirrored", "upside down and mirrored", "transposed", "transversed"])
def test_a_mirrored_clip_comes_as_its_header_asks(matrix: tuple[int, int, int, int], orientation: int) -> None:
    picture = scene(80, 96)
    stored = np.asarray(turned(as_pillow(picture), orientation))
    frame = next(opened(clips.with_display_matrix(clips.mp4([stored]), matrix)).frames())
    assert difference(frame.pixels(), picture) < 12


def test_the_sound_of_a_clip_is_left_out_and_sound_alone_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="it holds no video"):
        opened(clips.fragmented_mp4(SCAN).replace(b"vide", b"soun").replace(b"avc1", b"mp4a"))


def test_training_sees_evenly_spaced_frames_of_a_clip() -> None:
    frames = read_clip(FILES["mp4"], 3)
    assert [int(np.argmin([difference(frame, original) for original in SCAN])) for frame in frames] == [0, 6, 11]
    assert len(read_clip(FILES["mp4"], 100)) == 12


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("mp4", "mp4, HEVC", "mov", "avi")])
def test_the_frames_before_a_cut_are_shown(name: str) -> None:
    payload = FILES[name]
    frames = list(opened(payload[: len(payload) * 9 // 10]).frames())
    assert 0 < len(frames) < 12
    assert difference(frames[0].pixels(), SCAN[0]) < (16 if name == "gif" else 13)


@pytest.mark.parametrize("name", FILES)
def test_a_broken_clip_ends_in_words_or_in_frames(name: str) -> None:
    """Never in a foreign exception, which would show as an error of ours."""
    payload, noise = FILES[name], random.Random(5)
    for _ in range(15):
        broken = bytearray(payload[: noise.randrange(8, len(payload) + 1)])
        for _ in range(noise.randrange(12)):
            broken[noise.randrange(len(broken))] = noise.randrange(256)
        with contextlib.suppress(MediaError):
            for frame in opened(bytes(broken)).frames():
                assert frame.pixels().shape == (frame.height, frame.width, 3)


@pytest.mark.parametrize(("payload", "limits", "error", "reason"), [
    (FILES["mp4"][:300], LIMITS, CorruptMedia, "MP4: it is broken or cut short"),
    (FILES["avi"][:300], LIMITS, CorruptMedia, "AVI"),
    (FILES["webm"][:200], LIMITS, CorruptMedia, "WebM"),
    (b"", LIMITS, EmptyMedia, "no bytes"),
    (jpeg(scene()), LIMITS, UnsupportedMedia, "MP4, MOV, AVI, WebM, GIF, MPEG or DICOM"),
    (clips.encoded(SCAN, "avi", "ffvhuff"), LIMITS, UnsupportedMedia, "the codec of its video isn't read here"),
    (FILES["mp4"], Limits(max_pixels=7000), MediaTooLarge, "96x80"),
    (FILES["gif"], Limits(max_frames=11), MediaTooLarge, "12 frames; the limit is 11"),
    (FILES["mp4"], Limits(max_bytes=100), MediaTooLarge, "the limit is 100"),
    (clips.mp4(clips.moving_scan(2, 8, 8)), LIMITS, UnsupportedMedia, "at least 16x16"),
], ids=["mp4", "avi", "webm", "empty", "picture", "codec", "pixels", "frames", "bytes", "tiny"])
def test_what_is_wrong_with_a_clip_is_named(payload: bytes, limits: Limits, error: type[MediaError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        opened(payload, limits)
