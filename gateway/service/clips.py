"""A clip as a file: frame by frame over the node, as a stream whose sender is a file, and one verdict."""

import asyncio
import hashlib
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from domains.errors import CorruptMedia
from edge_runtime.decoder import ClipHeader, DecodedFrame, Decoder, open_clip_decoder
from edge_runtime.node import Answer
from gateway.service.verdicts import Verdicts

IN_FLIGHT = 4
"""Frames of one clip that are analysed at once."""
DECODERS = 4
"""Clips that are decoded at once; others wait. Each takes a process and holds its file."""

Ask = Callable[[bytes], Awaitable[Answer]]
"""Analyses one frame's file."""


class Progress(msgspec.Struct, frozen=True):
    """How far a clip is. `verdict`: on the last frames, as Sequence.running gives it; empty before the first."""

    frames_done: int
    frames_total: int
    verdict: Mapping[str, Any] = {}


OnProgress = Callable[[Progress], None]
OpenClip = Callable[[bytes, Mapping[str, int]], Awaitable[tuple[ClipHeader, Decoder]]]
"""A decoder for a clip's file, within media limits by name."""


class ClipReader:
    """Has clips decoded and analysed. `limits`: media limits by name; `most_frames`: of one clip that are analysed."""

    def __init__(self, limits: Mapping[str, int], *, most_frames: int, open_clip: OpenClip = open_clip_decoder) -> None:
        self._limits = limits
        self._open_clip = open_clip
        self._most_frames = most_frames
        self._places = asyncio.Semaphore(DECODERS)

    async def read(
        self, payload: bytes, ask: Ask, verdicts: Verdicts, on_progress: OnProgress | None
    ) -> tuple[dict[str, Any], float]:
        """Fills `verdicts` with the clip's frames; gives its `media`, and the seconds that it took.

        Raises MediaError for a clip that can't be read, DecoderFailed where reading it breaks the process that does, and
        whatever `ask` raises.
        """
        async with self._places:
            began = time.perf_counter()
            header, decoder = await self._open_clip(payload, self._limits)
            try:
                await self._follow(header, decoder, ask, verdicts, on_progress)
            finally:
                await decoder.close()
            if not verdicts.any:
                raise CorruptMedia("no frame of the clip could be decoded")
            return _media(header, payload), time.perf_counter() - began

    async def _follow(
        self, header: ClipHeader, decoder: Decoder, ask: Ask, verdicts: Verdicts, on_progress: OnProgress | None
    ) -> None:
        wanted = spread(header.times_s, self._most_frames)
        under_way: deque[tuple[DecodedFrame, bytes, asyncio.Task[Answer]]] = deque()

        async def settle() -> None:
            frame, content, task = under_way[0]
            verdicts.add(frame.number, frame.time_s, content, await task)
            under_way.popleft()
            tell()

        def tell() -> None:
            if on_progress is not None:
                on_progress(Progress(verdicts.analysed, len(wanted), verdicts.running()))

        tell()
        try:
            while (frame := await decoder.next_frame()) is not None:
                if frame.number not in wanted:
                    decoder.drop(frame.number)
                    continue
                content = await decoder.take(frame.number)
                under_way.append((frame, content, asyncio.ensure_future(ask(content))))
                if len(under_way) >= IN_FLIGHT:
                    await settle()
            while under_way:
                await settle()
        finally:
            for _, _, task in under_way:
                task.cancel()
            await asyncio.gather(*(task for _, _, task in under_way), return_exceptions=True)


def spread(times_s: Sequence[float], most: int) -> set[int]:
    """Numbers (from 1) of at most `most` frames, evenly spread over the clip's time; all where there are no more."""
    if len(times_s) <= most:
        return set(range(1, len(times_s) + 1))
    first, last = times_s[0], times_s[-1]
    marks = [first + (last - first) * (step + 0.5) / most for step in range(most)]
    return {min(bisect_left(times_s, mark), len(times_s) - 1) + 1 for mark in marks}


def _media(header: ClipHeader, payload: bytes) -> dict[str, Any]:
    return {
        "format": header.format, "width": header.width, "height": header.height, "frame": 0,
        "frame_count": header.frame_count, "size_bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest(),
        "duration_s": round(header.duration_s, 3), "frame_rate": round(header.frame_rate, 3), "codec": header.codec,
    }
