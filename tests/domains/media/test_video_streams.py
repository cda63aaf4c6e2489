"""Encoded streams: every frame at its time and soon; one clear error for what is none."""

import random

import numpy as np
import pytest

from domains.core import CorruptMedia, EmptyMedia, MediaError, MediaTooLarge, UnsupportedMedia
from domains.media.limits import Limits
from domains.media.video import STREAM_CODECS, stream_frames
from domains.media.video import packets as packets_module
from domains.media.video import stream as stream_module
from tests import clips
from tests.domains.media.pictures import LIMITS, difference, jpeg, scene
from tests.domains.media.streams import LIVE, REORDERED, SCAN, Chunks, cut, played

NOISE = random.Random(3).randbytes(200_000)
LARGER = clips.moving_scan(6, 192, 160)


def nearest(pixels: np.ndarray) -> int:
    return int(np.argmin([difference(pixels, original) for original in SCAN]))


@pytest.mark.parametrize("codec", STREAM_CODECS)
@pytest.mark.parametrize("kind", [LIVE, REORDERED], ids=["live", "reordered"])
def test_every_frame_of_a_stream_is_shown_in_order_at_its_time(codec: str, kind: dict[str, bytes]) -> None:
    done = played(codec, cut(kind[codec], 700))
    rate = 25 if codec == "mpeg2" else 10
    assert done.error is None
    assert [nearest(frame.pixels()) for frame in done.frames] == list(range(25))
    assert [frame.time_s for frame in done.frames] == pytest.approx([number / rate for number in range(25)], abs=2e-3)


@pytest.mark.parametrize("codec", STREAM_CODECS)
def test_a_live_frame_is_there_when_the_next_one_has_begun_to_arrive(codec: str) -> None:
    """And the first one, for all that FFmpeg would rather read seconds ahead."""
    larger = clips.moving_scan(25, 320, 240)
    make = {"h264": clips.h264, "hevc": clips.hevc, "mpeg2": clips.mpeg2, "mpegts": clips.mpegts,
            "mp4": clips.fragmented_mp4}[codec]
    source = Chunks(cut(make(larger), 188))
    frames = stream_frames(codec, source, LIMITS)
    read_at = []
    for _ in range(25):
        next(frames)
        read_at.append(source.read_bytes)
    assert read_at[0] < len(make(larger[:2])) + 1500
    assert read_at[12] < len(make(larger[:15])) + 1500, "MPEG-2 has one frame more under way"


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2", "mpegts"])
def test_a_stream_that_is_joined_midway_starts_with_its_next_key_frame(codec: str) -> None:
    done = played(codec, cut(LIVE[codec][len(LIVE[codec]) // 4 :], 700))
    assert done.error is None
    shown = [nearest(frame.pixels()) for frame in done.frames]
    assert shown == list(range(10, 25))
    assert done.frames[0].time_s == 0


@pytest.mark.parametrize(("codec", "key_frame", "next_frame"), [
    ("h264", b"\0\0\1\x65", b"\0\0\1\x41"), ("hevc", b"\0\0\1\x28", b"\0\0\1\x02"), ("mpeg2", b"\0\0\1\0", b"\0\0\1\0"),
])
def test_frames_that_refer_to_one_that_never_came_are_not_shown(codec: str, key_frame: bytes, next_frame: bytes) -> None:
    stream = LIVE[codec]
    start = stream.index(key_frame)
    done = played(codec, [stream[:start] + stream[stream.index(next_frame, start + 4) :]])
    assert [nearest(frame.pixels()) for frame in done.frames] == list(range(10, 25))


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2"])
def test_a_size_change_is_no_error_and_frames_say_their_own_size(codec: str) -> None:
    other = {"h264": clips.h264, "hevc": clips.hevc, "mpeg2": clips.mpeg2}[codec](LARGER)
    done = played(codec, cut(LIVE[codec] + other, 997))
    assert done.error is None
    assert [(frame.width, frame.height) for frame in done.frames[-6:]] == [(192, 160)] * 6
    assert (done.frames[0].width, done.frames[0].height) == (96, 80)
    assert done.frames[-1].pixels().shape == (160, 192, 3)


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2"])
def test_a_change_to_a_size_beyond_the_limit_ends_the_stream_behind_the_frames_before_it(codec: str) -> None:
    other = {"h264": clips.h264, "hevc": clips.hevc, "mpeg2": clips.mpeg2}[codec](LARGER)
    for size in (997, 10**6):
        done = played(codec, cut(LIVE[codec] + other, size), Limits(max_pixels=10_000))
        assert isinstance(done.error, MediaTooLarge)
        assert "192x160" in str(done.error)
        assert len(done.frames) == (24 if codec == "mpeg2" else 25)


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_a_picture_that_is_half_guessed_is_left_out(codec: str) -> None:
    """FFmpeg fills gaps from the frame before; a lung must not be judged by that."""
    stream, noise = LIVE[codec], random.Random(4)
    intact = [frame.pixels() for frame in played(codec, [stream]).frames]
    given = wrong = 0
    for _ in range(20):
        at = noise.randrange(200, len(stream) - 100)
        frames = played(codec, [stream[:at] + noise.randbytes(40) + stream[at + 40 :]]).frames
        given += len(frames)
        wrong += sum(min(difference(frame.pixels(), original) for original in intact) > 1.5 for frame in frames)
    assert given > 20 * 25 / 2
    assert wrong < given / 15, "where the damage makes sense to the decoder, nothing can tell"


def test_frames_behind_damage_are_left_out_up_to_the_next_key_frame() -> None:
    stream = LIVE["h264"]
    starts = [at for at in range(len(stream)) if stream[at : at + 4] == b"\0\0\1\x65"]
    middle = (starts[1] + starts[2]) // 2
    damaged = stream[:middle] + NOISE[:150] + stream[middle + 150 :]
    shown = [nearest(frame.pixels()) for frame in played("h264", [damaged]).frames]
    assert shown[:10] == list(range(10))
    assert shown[-5:] == list(range(20, 25))
    assert len(shown) < 25


FOREIGN = {"a JPEG picture": jpeg(scene()), "GIF": clips.gif(SCAN[:2]), "AVI": clips.avi(SCAN[:2]),
           "an MPEG program stream": clips.mpeg_program(SCAN[:2])}


@pytest.mark.parametrize("codec", STREAM_CODECS)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_a_stream_is_instead_is_named(codec: str, foreign: str) -> None:
    done = played(codec, cut(FOREIGN[foreign], 100))
    assert isinstance(done.error, UnsupportedMedia)
    assert f"it begins as {foreign} does" in str(done.error)
    assert done.frames == ()


@pytest.mark.parametrize(("announced", "sent", "name"), [
    ("hevc", "h264", "H.264"), ("h264", "hevc", "HEVC"), ("mpeg2", "h264", "H.264"), ("h264", "mpeg2", "MPEG-2"),
    ("h264", "mp4", "MP4"), ("mp4", "mpegts", "an MPEG transport stream"), ("hevc", "mpegts", "an MPEG transport stream"),
])
def test_a_codec_that_lies_is_named(announced: str, sent: str, name: str) -> None:
    done = played(announced, cut(LIVE[sent], 333))
    assert isinstance(done.error, UnsupportedMedia)
    assert f"begins as {name} does" in str(done.error)
    assert done.frames == ()


@pytest.mark.parametrize("codec", STREAM_CODECS)
@pytest.mark.parametrize(("stream", "error"), [
    (b"", EmptyMedia), (b"\0\0\1", CorruptMedia), (NOISE, CorruptMedia), (bytes(100_000), CorruptMedia),
], ids=["nothing", "three bytes", "noise", "zeros"])
def test_a_stream_of_garbage_ends_in_one_error(codec: str, stream: bytes, error: type[MediaError]) -> None:
    done = played(codec, cut(stream, 4096))
    assert type(done.error) is error
    assert done.frames == ()


@pytest.mark.parametrize("codec", STREAM_CODECS)
def test_a_stream_that_is_cut_short_shows_what_came(codec: str) -> None:
    done = played(codec, cut(LIVE[codec][: len(LIVE[codec]) * 3 // 4], 500))
    assert done.error is None
    assert 5 <= len(done.frames) < 25
    none = played(codec, [LIVE[codec][: 600 if codec in ("mp4", "mpegts") else 60]])
    assert isinstance(none.error, CorruptMedia)


@pytest.mark.parametrize("codec", STREAM_CODECS)
def test_damage_ends_in_words_or_in_frames(codec: str) -> None:
    """Never in a foreign exception, which would show as an error of ours."""
    noise = random.Random(11)
    for _ in range(15):
        broken = bytearray(LIVE[codec])
        for _ in range(noise.randrange(1, 30)):
            broken[noise.randrange(len(broken))] = noise.randrange(256)
        done = played(codec, cut(bytes(broken), 2000))
        assert done.error is not None or done.frames


def test_an_mp4_file_whose_index_comes_last_is_refused_with_advice() -> None:
    done = played("mp4", cut(clips.mp4(SCAN), 500))
    assert isinstance(done.error, UnsupportedMedia)
    assert "send it as a file" in str(done.error)


def test_pictures_beyond_the_limit_are_refused_by_their_size() -> None:
    for codec in STREAM_CODECS:
        done = played(codec, cut(LIVE[codec], 300), Limits(max_pixels=7000))
        assert isinstance(done.error, MediaTooLarge), codec
        assert done.frames == ()


def test_a_stream_that_goes_on_without_a_picture_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender could keep us waiting, and FFmpeg's parser collecting, for ever."""
    without_key = LIVE["h264"][LIVE["h264"].index(b"\0\0\1\x65") + 2000 :]
    without_key = without_key[: without_key.index(b"\0\0\1\x67")]
    monkeypatch.setattr(packets_module, "MAX_SILENT_PACKETS", 30)
    done = played("h264", cut(without_key * 20, 1000))
    assert isinstance(done.error, CorruptMedia)
    assert "from the last 30 packets" in str(done.error)
    monkeypatch.setattr(stream_module, "MAX_SILENT_BYTES", 50_000)
    done = played("h264", cut(b"\0\0\1\x65" + NOISE, 1000))
    assert isinstance(done.error, CorruptMedia)
    assert "no picture in" in str(done.error)
    done = played("mp4", cut(LIVE["mp4"][:600] + b"\0\0\xff\xff" + b"free" + bytes(100_000), 1000))
    assert isinstance(done.error, CorruptMedia)
