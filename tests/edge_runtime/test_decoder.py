"""Decoders in processes of their own: frames in order, bounded, and a failure that stays with its own stream."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from domains.errors import CorruptMedia, EmptyMedia, MediaTooLarge, UnsupportedMedia
from domains.media import Limits, decode, read_header
from edge_runtime import decoder as decoder_module
from edge_runtime.decoder import DecodedFrame, Decoder, ProcessDecoder, open_clip_decoder, open_stream_decoder
from edge_runtime.errors import DecoderFailed
from tests import clips

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes"
SCAN = clips.moving_scan(25)
LIVE = {"h264": clips.h264(SCAN), "hevc": clips.hevc(SCAN), "mpeg2": clips.mpeg2(SCAN), "mpegts": clips.mpegts(SCAN),
        "mp4": clips.fragmented_mp4(SCAN)}


@pytest.fixture(autouse=True)
def _fakes_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{FAKES}{os.pathsep}{ROOT}")


@asynccontextmanager
async def stream(codec: str = "h264", *, faulty: bool = False, window: int = 4, stall_s: float = 10.0,
                 limits: dict[str, int] | None = None) -> AsyncIterator[Decoder]:
    module = "faulty_decoding" if faulty else decoder_module.MODULE
    decoder = await open_stream_decoder(codec, limits or {}, window=window, stall_s=stall_s, module=module)
    try:
        yield decoder
    finally:
        await decoder.close()
        assert not is_there(decoder)


def pid_of(decoder: Decoder) -> int:
    return cast("ProcessDecoder", decoder).pid


def is_there(decoder: Decoder) -> bool:
    """Also as a zombie."""
    return Path(f"/proc/{pid_of(decoder)}").exists()


async def send(decoder: Decoder, content: bytes, size: int = 1000) -> None:
    for at in range(0, len(content), size):
        await decoder.feed(content[at : at + size])
    await decoder.finish()


async def rest(decoder: Decoder) -> list[tuple[DecodedFrame, bytes]]:
    frames = []
    while (frame := await decoder.next_frame()) is not None:
        frames.append((frame, await decoder.take(frame.number)))
    return frames


async def played(decoder: Decoder, content: bytes, size: int = 1000) -> list[tuple[DecodedFrame, bytes]]:
    sending = asyncio.create_task(send(decoder, content, size))
    try:
        return await rest(decoder)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def in_loop(test: Callable[[], Awaitable[None]], timeout_s: float = 60.0) -> None:
    async def limited() -> None:
        async with asyncio.timeout(timeout_s):
            await test()

    asyncio.run(limited())


def pixels_of(picture: bytes) -> np.ndarray:
    return decode(picture, read_header(picture, Limits()), Limits()).pixels


@pytest.mark.parametrize("codec", LIVE)
def test_a_stream_gives_all_of_its_frames_whatever_the_chunks(codec: str) -> None:
    async def test() -> None:
        async with stream(codec) as one, stream(codec) as other:
            frames = await played(one, LIVE[codec], 777)
            assert frames == await played(other, LIVE[codec], 10**6)
        assert [frame.number for frame, _ in frames] == list(range(1, 26))
        period_s = 0.04 if codec == "mpeg2" else 0.1
        assert [frame.time_s for frame, _ in frames] == pytest.approx([period_s * n for n in range(25)], abs=2e-3)
        distances = [np.abs(pixels_of(frames[9][1]).astype(int) - original).mean() for original in SCAN]
        assert int(np.argmin(distances)) == 9
        assert frames[9][1].startswith(b"P5\n"), "grey travels as grey"

    in_loop(test)


CLIPS = {
    "mp4": clips.mp4(SCAN), "webm": clips.webm(SCAN), "gif": clips.gif(SCAN), "mpeg": clips.mpeg_program(SCAN, 10),
    "dicom": clips.dicom_clip(SCAN, regions=[(0, 5, 90, 70)]),
}


@pytest.mark.parametrize("name", ["mp4", "gif", "dicom"])
def test_a_clip_tells_what_it_holds_and_gives_it(name: str) -> None:
    async def test() -> None:
        header, decoder = await open_clip_decoder(CLIPS[name], {})
        try:
            assert (header.format, header.width, header.height, header.frame_count) == (name, 96, 80, 25)
            assert header.frame_rate == pytest.approx(10)
            assert header.duration_s == pytest.approx(2.5)
            frames = await rest(decoder)
            assert [frame.time_s for frame, _ in frames] == pytest.approx(header.times_s, abs=1e-3)
            assert decode(frames[0][1], read_header(frames[0][1], Limits()), Limits()).regions == (
                decode(CLIPS[name], read_header(CLIPS[name], Limits()), Limits()).regions if name == "dicom" else ())
        finally:
            await decoder.close()

    in_loop(test)


def test_a_clip_filmed_sideways_comes_upright_and_in_colour() -> None:
    field = clips.moving_field(4)

    async def test() -> None:
        header, decoder = await open_clip_decoder(clips.rotated_mp4(field, 90), {})
        frames = await rest(decoder)
        await decoder.close()
        assert (header.width, header.height) == (frames[0][0].width, frames[0][0].height) == (80, 96)
        assert frames[0][1].startswith(b"P6\n80 96\n")
        assert np.abs(pixels_of(frames[0][1]).astype(int) - np.rot90(field[0], -1)).mean() < 6

    in_loop(test)


def test_no_more_frames_are_decoded_than_the_window_holds_and_dropping_goes_on() -> None:
    async def test() -> None:
        async with stream(window=3) as decoder:
            await send(decoder, LIVE["h264"])
            for number in (1, 2, 3):
                frame = await decoder.next_frame()
                assert frame is not None
                assert frame.number == number
            waiting = asyncio.create_task(decoder.next_frame())
            await asyncio.sleep(0.3)
            assert not waiting.done()
            decoder.drop(2)
            frame = await waiting
            assert frame is not None
            assert frame.number == 4
            assert (await decoder.take(3)).startswith(b"P5")
            with pytest.raises(ValueError, match="frame 3 isn't held"):
                await decoder.take(3)
            decoder.drop(3)

    in_loop(test)


def test_a_sender_is_held_back_while_nobody_takes_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "AHEAD_BYTES", 3000)
    monkeypatch.setattr(decoder_module, "PIECE_BYTES", 500)

    async def test() -> None:
        async with stream(window=2) as decoder:
            sending = asyncio.create_task(send(decoder, LIVE["h264"]))
            await asyncio.sleep(0.5)
            assert not sending.done()
            assert len(await rest(decoder)) == 25
            await sending

    in_loop(test)


def test_a_first_live_frame_comes_before_the_stream_is_at_its_end() -> None:
    async def test() -> None:
        async with stream("mpegts") as decoder:
            await decoder.feed(LIVE["mpegts"][: len(LIVE["mpegts"]) // 3])
            frame = await decoder.next_frame()
            assert frame is not None
            assert frame.number == 1

    in_loop(test)


@pytest.mark.parametrize(("codec", "content", "error", "reason"), [
    ("h264", b"", EmptyMedia, "no bytes"),
    ("h264", random.Random(1).randbytes(100_000), CorruptMedia, "H.264: there is no start code"),
    ("hevc", LIVE["h264"], UnsupportedMedia, "announced as HEVC, but it begins as H.264 does"),
    ("mpegts", bytes(5000), CorruptMedia, "MPEG transport stream"),
    ("mp4", LIVE["mp4"][:700], CorruptMedia, "fragmented MP4"),
], ids=["nothing", "noise", "a codec that lies", "zeros", "cut"])
def test_bad_bytes_end_in_one_clear_error(codec: str, content: bytes, error: type[Exception], reason: str) -> None:
    async def test() -> None:
        async with stream(codec) as decoder:
            with pytest.raises(error, match=reason):
                await played(decoder, content)
            with pytest.raises(error, match=reason):
                await decoder.next_frame()

    in_loop(test)


def test_frames_before_an_error_can_still_be_taken() -> None:
    content = LIVE["h264"] + clips.h264(clips.moving_scan(3, 192, 160))

    async def test() -> None:
        async with stream(limits={"max_pixels": 10_000}, window=40) as decoder:
            await send(decoder, content)
            for number in range(1, 26):
                frame = await decoder.next_frame()
                assert frame is not None
                assert frame.number == number
            with pytest.raises(MediaTooLarge, match="192x160"):
                await decoder.next_frame()
            assert (await decoder.take(25)).startswith(b"P5")

    in_loop(test)


def test_a_bad_clip_is_refused_and_leaves_no_process() -> None:
    async def test() -> None:
        before = children()
        with pytest.raises(CorruptMedia, match="MP4"):
            await open_clip_decoder(CLIPS["mp4"][:500], {})
        with pytest.raises(MediaTooLarge, match="the limit is 10"):
            await open_clip_decoder(CLIPS["mp4"], {"max_frames": 10})
        with pytest.raises(UnsupportedMedia, match="not a clip"):
            await open_clip_decoder(b"words and words", {})
        with pytest.raises(DecoderFailed, match="crashed"):
            await open_clip_decoder(b"crash", {}, module="faulty_decoding")
        assert children() <= before

    in_loop(test)


def children() -> set[str]:
    """Processes of this one, also as zombies; other tests may have left some that live on."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize(("word", "reason"), [
    ("crash", "crashed"), ("hang", "hung"), ("memory", "more than 2048 MiB of memory"), ("babble", "broke its protocol"),
    ("unforeseen", "unforeseen RuntimeError"),
])
def test_a_decoder_that_fails_ends_its_own_stream_within_seconds_and_no_other(word: str, reason: str) -> None:
    async def test() -> None:
        async with stream() as other, stream(faulty=True, stall_s=1.0) as decoder:
            await decoder.feed(b"frame frame ")
            for _ in range(2):
                assert await decoder.next_frame() is not None
            began = time.monotonic()
            await decoder.feed(f"{word} ".encode())
            with pytest.raises(DecoderFailed, match=reason) as caught:
                await decoder.next_frame()
            assert "JANE" not in str(caught.value)
            assert time.monotonic() - began < 20
            with pytest.raises(DecoderFailed):
                await decoder.feed(b"frame ")
            assert len(await played(other, LIVE["h264"])) == 25

    in_loop(test)


def test_a_killed_decoder_fails_whoever_waits_for_it() -> None:
    async def test() -> None:
        async with stream() as decoder:
            await decoder.feed(LIVE["h264"][:9000])
            assert await decoder.next_frame() is not None
            waiting = [asyncio.create_task(decoder.next_frame()) for _ in range(30)]
            await asyncio.sleep(0.2)
            os.kill(pid_of(decoder), signal.SIGKILL)
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert isinstance(outcomes[-1], DecoderFailed)
            with pytest.raises(DecoderFailed, match="exit status -9"):
                await decoder.take(1)
            assert not is_there(decoder), "nor a zombie"

    in_loop(test)


def test_a_frame_whose_conversion_hangs_fails_whoever_takes_it() -> None:
    async def test() -> None:
        async with stream(faulty=True, stall_s=1.0) as decoder:
            await decoder.feed(b"stuck ")
            assert await decoder.next_frame() is not None
            with pytest.raises(DecoderFailed, match="hung"):
                await decoder.take(1)

    in_loop(test)


def test_a_sender_or_a_taker_who_pauses_is_not_taken_for_a_hang() -> None:
    async def test() -> None:
        async with stream(stall_s=0.4, window=2) as decoder:
            await decoder.feed(LIVE["h264"][:9000])
            await asyncio.sleep(1.0)
            assert await decoder.next_frame() is not None
            decoder.drop(1)
            await asyncio.sleep(1.0)
            await decoder.feed(LIVE["h264"][9000:])
            await decoder.finish()
            assert len(await rest(decoder)) == 24

    in_loop(test)


def test_time_in_which_nothing_was_to_do_does_not_count_towards_a_hang() -> None:
    async def test() -> None:
        async with stream(faulty=True, stall_s=1.0) as decoder:
            await decoder.feed(b"frame ")
            assert await decoder.next_frame() is not None
            await asyncio.sleep(1.5)
            await decoder.feed(b"slow frame ")
            assert await decoder.next_frame() is not None

    in_loop(test)


def test_a_process_that_does_not_start_is_told() -> None:
    async def test() -> None:
        before = children()
        with pytest.raises(DecoderFailed, match="crashed"):
            await open_stream_decoder("h264", {}, module="no_such_module")
        assert children() <= before

    in_loop(test)


def test_closing_twice_or_midway_is_fine_and_wakes_whoever_waits() -> None:
    async def test() -> None:
        async with stream() as decoder:
            waiting = asyncio.create_task(decoder.next_frame())
            await asyncio.sleep(0.1)
            await decoder.close()
            await decoder.close()
            with pytest.raises(DecoderFailed, match="closed"):
                await waiting
            with pytest.raises(DecoderFailed, match="closed"):
                await decoder.feed(b"1")

    in_loop(test)


def test_holding_a_decoder_loads_neither_numpy_nor_ffmpeg() -> None:
    code = "import sys, edge_runtime.decoder; print({'numpy', 'cv2', 'av', 'PIL', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_a_long_clip_takes_no_more_memory_than_a_short_one() -> None:
    async def test() -> None:
        header, decoder = await open_clip_decoder(clips.mp4(clips.moving_scan(40, 160, 128) * 10), {})
        assert header.frame_count == 400
        sizes_kib = []
        while (frame := await decoder.next_frame()) is not None:
            await decoder.take(frame.number)
            if frame.number in (50, 400):
                status = Path(f"/proc/{pid_of(decoder)}/status").read_text()
                sizes_kib += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize")]
        await decoder.close()
        assert sizes_kib[1] - sizes_kib[0] < 32 * 1024

    in_loop(test)
