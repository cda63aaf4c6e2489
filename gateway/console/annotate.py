"""Writes the annotated video of a stream: each frame with its result drawn over it, and the running verdict below.

Frames are written in order, each once it is settled whether it was answered. One without an answer of its own shows the
last result before it.
"""

import queue
import threading
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np
from av.video.stream import VideoStream

from domains.core.documents import from_document
from domains.core.image import Pixels
from domains.core.overlay import draw
from domains.core.results import Result, Segmentation
from gateway.console.player import Picture
from gateway.console.verdicts import summary
from hedgerow_client import Dropped, Event, FrameResult, Verdict

SUFFIXES = (".mp4", ".mov", ".mkv")
TICKS = 90_000
HELD_BACK = 300
"""Pictures that may wait for this writer; then the player waits."""
MOST_UNSETTLED = 900
"""Pictures whose fate may be open; the oldest is then written as it is."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _GREY = (255, 255, 255), (170, 170, 170)


class AnnotatedVideo:
    """A video file that grows while the stream runs, in a thread of its own. `failed`: why it could not be written."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path.name}: an annotated video's name ends in {', '.join(SUFFIXES)}")
        self.failed = ""
        self.written = 0
        self._path = path
        self._news: queue.SimpleQueue[Picture | Event | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(HELD_BACK)
        self._thread = threading.Thread(target=self._run, name="annotated video", daemon=True)
        self._thread.start()

    def add(self, picture: Picture) -> None:
        """A picture that was sent; waits where too many wait."""
        self._room.acquire()
        self._news.put(picture)

    def tell(self, event: Event) -> None:
        """An event of the stream."""
        self._news.put(event)

    def close(self) -> None:
        """Writes what is left."""
        self._news.put(None)
        self._thread.join()

    def _run(self) -> None:
        writer = _Writer(self._path)
        try:
            while (news := self._news.get()) is not None:
                if isinstance(news, Picture):
                    self._room.release()
                if not self.failed:
                    self._take(writer, news)
            if not self.failed:
                self.written = writer.finish()
        except (av.error.FFmpegError, OSError) as error:
            self.failed = self.failed or f"{self._path} can't be written ({error.strerror})"

    def _take(self, writer: "_Writer", news: Picture | Event) -> None:
        try:
            writer.take(news)
        except (av.error.FFmpegError, OSError) as error:
            self.failed = f"{self._path} can't be written ({error.strerror})"
        except Exception as error:
            self.failed = f"{self._path} can't be written ({type(error).__name__})"


class _Writer:
    """Pictures and events in, frames of a video out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: deque[Picture] = deque()
        self._results: deque[FrameResult] = deque()
        self._answered = 0
        self._dropped: set[int] = set()
        self._held: tuple[FrameResult, Result] | None = None
        self._verdict = "no verdict yet"
        self._output: tuple[Any, VideoStream] | None = None
        self._size = (0, 0)
        self._last_tick = -1
        self._written = 0

    def take(self, news: Picture | Event) -> None:
        """The next picture or event."""
        if isinstance(news, Picture):
            self._waiting.append(news)
            if len(self._waiting) > MOST_UNSETTLED:
                self._write(self._waiting.popleft())
        elif isinstance(news, FrameResult):
            self._results.append(news)
            self._answered = news.number - 1  # itself when the verdict that it brings is here
        elif isinstance(news, Dropped):
            if news.count == news.last - news.first + 1:
                self._dropped.update(range(news.first, news.last + 1))
        elif isinstance(news, Verdict):
            self._verdict = summary(news.raw["document"])
            self._answered = self._results[-1].number if self._results else self._answered
        while self._waiting and self._settled(self._waiting[0].number):
            self._write(self._waiting.popleft())

    def finish(self) -> int:
        """Writes the rest; gives how many frames there are."""
        while self._waiting:
            self._write(self._waiting.popleft())
        if self._output is not None:
            container, stream = self._output
            container.mux(stream.encode(None))
            container.close()
        return self._written

    def _settled(self, number: int) -> bool:
        """Whether there is nothing to wait for: answers come in the order of frames, but a drop is told while an older frame
        is still being analysed.
        """
        return number <= self._answered or number in self._dropped

    def _write(self, picture: Picture) -> None:
        self._dropped.discard(picture.number)
        while self._results and self._results[0].number <= picture.number:
            told = self._results.popleft()
            self._held = told, from_document(_document(told.raw["result"]), told.pictures)
        drawn = np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
        about = "not answered yet"
        if self._held is not None:
            told, result = self._held
            if _fits(result, drawn):
                drawn = draw(drawn, result)[: drawn.shape[0]]
            about = f"frame {told.number}: {summary(told.raw['result'])}" + (f" ({told.unusable})" if told.unusable else "")
        self._encode(_captioned(drawn, self._verdict, f"{picture.time_s:.2f} s   {about}"), picture.time_s)

    def _encode(self, pixels: Pixels, time_s: float) -> None:
        if self._output is None:
            self._size = pixels.shape[1] + pixels.shape[1] % 2, pixels.shape[0] + pixels.shape[0] % 2
            self._output = self._open(*self._size)
        container, stream = self._output
        frame = av.VideoFrame.from_ndarray(_fitted(pixels, *self._size), format="rgb24")
        self._last_tick = max(round(time_s * TICKS), self._last_tick + 1)
        frame.pts, frame.time_base = self._last_tick, Fraction(1, TICKS)
        container.mux(stream.encode(frame))
        self._written += 1

    def _open(self, width: int, height: int) -> tuple[Any, VideoStream]:
        container = av.open(str(self._path), "w")
        stream = container.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        return container, stream


def _document(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as domains/core/documents.py reads it, whichever transport brought it."""
    return {"evidence": result.get("has_evidence") or None, **result}


def _fits(result: Result, pixels: Pixels) -> bool:
    height, width = map(int, pixels.shape[:2])
    if isinstance(result, Segmentation):
        return result.class_map.shape == (height, width)
    return result.region.x + result.region.width <= width and result.region.y + result.region.height <= height


def _captioned(pixels: Pixels, verdict: str, about: str) -> Pixels:
    """The picture with two lines below it."""
    width = pixels.shape[1]
    scale = max(0.7, width / 800)
    line = round(26 * scale)
    bar = np.zeros((2 * line + line // 2, width, 3), np.uint8)
    for row, (text, colour) in enumerate(((verdict, _WHITE), (about, _GREY))):
        plain = text.encode("ascii", "replace").decode()
        (needed, _), _ = cv2.getTextSize(plain, _FONT, 0.6 * scale, 1)
        size = 0.6 * scale * min(1.0, (width - 2 * line // 2) / max(needed, 1))
        cv2.putText(bar, plain, (line // 2, line * (row + 1)), _FONT, size, colour, 1, cv2.LINE_AA)
    return np.vstack([pixels, bar])


def _fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """The picture on black of that size, made smaller where it is larger."""
    shrink = min(1.0, width / pixels.shape[1], height / pixels.shape[0])
    if shrink < 1:
        size = max(1, int(pixels.shape[1] * shrink)), max(1, int(pixels.shape[0] * shrink))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    placed = np.zeros((height, width, 3), np.uint8)
    placed[: pixels.shape[0], : pixels.shape[1]] = pixels
    return placed
