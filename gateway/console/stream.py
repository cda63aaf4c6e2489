"""`hedgerow stream`: plays a source to a running gateway and shows what comes back."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gateway.console.annotate import AnnotatedVideo
from gateway.console.live import JsonShow, LineShow, LiveShow, Show, State
from gateway.console.player import Chunk, Picture, Source, SourceError
from hedgerow_client import AsyncClient, AsyncStream, Ended, Event, HedgerowError

PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Job:
    """What is streamed and how. `own_codec`: in the source's own encoding where the gateway takes it. `out`: the annotated video."""

    domain: str
    parameters: Mapping[str, Any]
    policy: str = "latest"
    sample_fps: float = 0.0
    own_codec: bool = False
    speed: float = 1.0
    out: Path | None = None


def open_show(title: str, console: Console, *, as_json: bool) -> Show:
    """JSON where that is wanted, a panel on a terminal, else lines."""
    if as_json:
        return JsonShow()
    state = State(title)
    return LiveShow(state, console) if console.is_terminal else LineShow(state)


async def stream_source(client: AsyncClient, source: Source, job: Job, show: Show) -> Ended:
    """Plays the source until its end or an interrupt (Ctrl-C); gives the stream's end. Raises HedgerowError, SourceError, and
    ValueError for what doesn't fit together.
    """
    codec = (source.codec if job.own_codec else "") or PICTURES
    if job.own_codec and codec == PICTURES:
        show.note("the source's own encoding can't be sent: its frames go as JPEG")
    video = AnnotatedVideo(job.out) if job.out else None
    try:
        opened = client.stream(
            job.domain, job.parameters, codec=codec, policy=job.policy, sample_fps=job.sample_fps, with_pictures=bool(video)
        )
        async with opened as stream:
            return await _Session(stream, source, job, show, video, codec).run()
    finally:
        if video is not None:
            await asyncio.to_thread(video.close)
            show.note(video.failed or f"{job.out}: {video.written} frames")


class _Session:
    """One run: a thread that plays, and this event loop, which sends and listens."""

    def __init__(
        self, stream: AsyncStream, source: Source, job: Job, show: Show, video: AnnotatedVideo | None, codec: str
    ) -> None:
        self._stream = stream
        self._source = source
        self._job = job
        self._show = show
        self._video = video
        self._codec = codec
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> Ended:
        """Until the stream's end."""
        playing = asyncio.create_task(asyncio.to_thread(self._play))
        last: Event | None = None
        try:
            with self._interruptible():
                async for event in self._stream:
                    last = event
                    self._show.tell(event)
                    if self._video is not None:
                        self._video.tell(event)
        finally:
            self._stop.set()
            problem = (await asyncio.gather(playing, return_exceptions=True))[0]
        if isinstance(problem, SourceError):
            raise problem
        assert isinstance(last, Ended)
        return last

    def _play(self) -> None:
        """In a thread: everything that is due goes out."""
        chunks = self._codec != PICTURES
        try:
            for part in self._source.play(
                self._stop, chunks=chunks, pictures=not chunks or self._video is not None, speed=self._job.speed
            ):
                if isinstance(part, Picture) and self._video is not None:
                    self._video.add(part)
                if isinstance(part, Chunk):
                    self._send(self._stream.send_chunk(part.content), wait=True)
                elif not chunks:
                    self._show.sent(part.number)
                    self._send(self._stream.send_frame(part.jpeg, part.time_s), wait=self._job.policy == "all")
        except HedgerowError:
            return  # the event loop hears of it too
        finally:
            self._send(self._stream.end(), wait=False)

    def _send(self, sending: Coroutine[Any, Any, Any], *, wait: bool) -> None:
        """`wait`: a file can be held back; a live frame that isn't taken gives way to the next."""
        future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        if wait:
            future.result()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C ends the playing, and the verdict still comes; the second one ends the program."""
        before = signal.getsignal(signal.SIGINT)

        def interrupt() -> None:
            self._stop.set()
            self._loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, before)

        self._loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            self._loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, before)
