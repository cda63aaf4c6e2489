"""What `hedgerow stream` plays: when each frame is due, which way up it is, and what goes out in the source's own encoding."""

import asyncio
import io
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_runtime.decoder import open_clip_decoder
from gateway.console.player import Chunk, Picture, SourceError, open_source
from tests.gateway.console.videos import HEIGHT, WIDTH, make_video

LIMITS = {"max_bytes": 1 << 24, "max_pixels": 1 << 20, "max_frames": 100}


def pictures(path: Path, *, speed: float = 0.0) -> list[Picture]:
    with open_source(str(path)) as source:
        return [part for part in source.play(threading.Event(), chunks=False, pictures=True, speed=speed) if isinstance(part, Picture)]


def pixels(picture: Picture) -> "np.typing.NDArray[np.int16]":
    return np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.int16)


def test_frames_come_at_the_times_that_the_file_says_however_uneven(tmp_path: Path) -> None:
    path = make_video(tmp_path / "uneven.mp4", times_ms=(0, 40, 300, 320, 500))
    started = time.monotonic()
    found = pictures(path, speed=1.0)
    assert time.monotonic() - started >= 0.5
    assert [picture.number for picture in found] == [1, 2, 3, 4, 5]
    assert [round(picture.time_s, 3) for picture in found] == [0, 0.04, 0.3, 0.32, 0.5]


def test_a_file_can_be_played_faster_and_stopped(tmp_path: Path) -> None:
    path = make_video(tmp_path / "long.mp4", times_ms=tuple(range(0, 4000, 40)))
    started = time.monotonic()
    assert len(pictures(path, speed=20.0)) == 100
    assert 0.19 <= time.monotonic() - started < 4  # it lasts 4 s
    stop = threading.Event()
    with open_source(str(path)) as source:
        for number, _ in enumerate(source.play(stop, chunks=False, pictures=True), 1):
            if number == 3:
                stop.set()
    assert number == 3


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_phones_video_is_turned_upright_as_the_gateway_turns_it(tmp_path: Path, rotation: int) -> None:
    path = make_video(tmp_path / "phone.mp4", rotation=rotation)

    async def gateways() -> bytes:
        _, decoder = await open_clip_decoder(path.read_bytes(), LIMITS)
        try:
            frame = await decoder.next_frame()
            assert frame is not None
            return await decoder.take(frame.number)
        finally:
            await decoder.close()

    first = pixels(pictures(path)[0])
    expected = cv2.imdecode(np.frombuffer(asyncio.run(gateways()), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert first.shape == ((WIDTH, HEIGHT, 3) if abs(rotation) == 90 else (HEIGHT, WIDTH, 3))
    assert np.abs(first - np.asarray(expected, np.int16)).mean() < 6
    with open_source(str(path)) as source:
        assert source.codec == ""


@pytest.mark.parametrize(
    ("name", "encoder", "codec"),
    [("clip.mp4", "libx264", "mpegts"), ("clip.mkv", "libx265", "mpegts"), ("clip.mpg", "mpeg2video", "mpegts"),
     ("clip.h264", "libx264", "h264"), ("clip.mp4", "mpeg4", "")],
)
def test_a_files_own_encoding_goes_out_whole_where_the_gateway_takes_it(
    tmp_path: Path, name: str, encoder: str, codec: str
) -> None:
    path = make_video(tmp_path / name, encoder)
    with open_source(str(path)) as source:
        assert source.codec == codec
        if not codec:
            return
        played = list(source.play(threading.Event(), chunks=True, pictures=True, speed=0))
    chunks = [part for part in played if isinstance(part, Chunk)]
    assert len(chunks) > 5
    assert sum(isinstance(part, Picture) for part in played) == 10
    with av.open(io.BytesIO(b"".join(part.content for part in chunks)), "r", format=codec) as sent:
        times = [frame.time for frame in sent.decode(video=0)]
    assert len(times) == 10
    if codec == "mpegts":
        first = times[0]
        assert first is not None
        assert [round(float(one or 0) - first, 2) for one in times] == [round(number * 0.04, 2) for number in range(10)]


def test_what_cannot_be_played_is_said_in_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    for source, told in (
        (str(tmp_path / "gone.mp4"), "there is no file"), ("/dev/video97", "there is no camera"), (str(text), "can't be opened"),
    ):
        with pytest.raises(SourceError, match=told):
            open_source(source)


def test_a_cameras_password_is_not_shown() -> None:
    with pytest.raises(SourceError) as refused:
        open_source("rtsp://ward:secret@127.0.0.1:9/live")
    assert "secret" not in str(refused.value)
