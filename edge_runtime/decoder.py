"""One decoder and the process that it runs in, seen from the event loop. No numpy and no decoder is loaded here.

A stream or a clip has a process of its own (decoding.py): what crashes it, hangs it or fills its memory ends this decoder,
as DecoderFailed, and nothing else. The process tells frames as they are decoded; their pixels cross only when taken.

Both directions are bounded. At most `window` frames wait in the process to be taken or dropped, then it stops decoding;
at most AHEAD_BYTES lie there undecoded, then `feed` waits.
"""

import asyncio
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Mapping

import msgspec

from edge_runtime import decoding_wire, wire
from edge_runtime.decoder_port import ClipHeader, DecodedFrame, Decoder
from edge_runtime.decoding_wire import (
    CLIP,
    ChunkMessage,
    ClipMessage,
    ConsumedMessage,
    DecodingConfig,
    DropMessage,
    EndMessage,
    FinishMessage,
    FrameMessage,
    PictureMessage,
    StartedMessage,
    TakeMessage,
)
from edge_runtime.errors import DecoderFailed
from edge_runtime.memory import keeping_buffers

__all__ = ["ClipHeader", "DecodedFrame", "Decoder", "open_clip_decoder", "open_stream_decoder"]

logger = logging.getLogger(__name__)

MODULE = "edge_runtime.decoding"
MEMORY_BYTES = 2 * 1024**3
"""Of a decoder's process, address space (RLIMIT_AS): libraries take 0.8 GiB; HEVC of 4K holds another 0.3."""
KEPT_BYTES = 64 * 1024 * 1024
"""Free memory that a decoder keeps (memory.py): frames of one size come and go."""

NICENESS = 10
"""Starting a process takes half a second of a core: those that answer frames go first (thread_priority.py)."""
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 1.0
AHEAD_BYTES = 1024 * 1024
PIECE_BYTES = 64 * 1024


async def open_stream_decoder(
    codec: str, limits: Mapping[str, int], *, window: int = 4, stall_s: float = 10.0, module: str = MODULE,
    memory_bytes: int = MEMORY_BYTES,
) -> Decoder:
    """A decoder for a stream in `codec`: `h264`, `hevc` (Annex B), `mpeg2` (elementary), `mpegts` or `mp4` (fragmented).

    `limits`: as for workers. `stall_s`: with work to do, so long without a sign of life counts as hung. Raises
    DecoderFailed where the process doesn't start.
    """
    decoder = ProcessDecoder(codec, limits, window, stall_s, module, memory_bytes)
    await decoder.start()
    return decoder


async def open_clip_decoder(
    payload: bytes, limits: Mapping[str, int], *, window: int = 4, stall_s: float = 10.0, module: str = MODULE,
    memory_bytes: int = MEMORY_BYTES,
) -> tuple[ClipHeader, Decoder]:
    """What the clip in `payload` holds, and a decoder that has all of its bytes. Raises MediaError and DecoderFailed."""
    decoder = ProcessDecoder(CLIP, limits, window, stall_s, module, memory_bytes)
    await decoder.start()
    try:
        return await decoder.open_clip(payload), decoder
    except BaseException:
        await decoder.close()
        raise


class ProcessDecoder(Decoder):
    """A decoder in a process of its own."""

    def __init__(
        self, codec: str, limits: Mapping[str, int], window: int, stall_s: float, module: str, memory_bytes: int
    ) -> None:
        self._codec, self._limits, self._window = codec, limits, window
        self._stall_s, self._module, self._memory_bytes = stall_s, module, memory_bytes
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._change = asyncio.Event()
        self._progress_s = 0.0
        self._sent_bytes = self._consumed_bytes = 0
        self._started = self._finished = self._ended = self._closed = False
        self._clip: ClipHeader | None = None
        self._frames: deque[DecodedFrame] = deque()
        self._held: set[int] = set()
        self._takes: dict[int, asyncio.Future[bytes]] = {}
        self._failure: Exception | None = None
        self._gone: DecoderFailed | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Starts the process and waits until it is there."""
        reader, process = await self._spawn()
        self._process = process
        self._progress_s = _now()
        self._tasks = [asyncio.create_task(self._listen(reader, process)), asyncio.create_task(self._watch())]
        try:
            await self._until_started()
        except BaseException:
            await self.close()
            raise

    async def open_clip(self, payload: bytes) -> ClipHeader:
        """Hands over a whole file; what it holds."""
        self._write(ChunkMessage(len(payload)), payload)
        self._sent_bytes = len(payload)
        await self.finish()
        while self._clip is None:
            self._check()
            await self._change.wait()
        return self._clip

    async def feed(self, chunk: bytes) -> None:
        if self._finished:
            raise ValueError("the stream is finished: no more bytes can come")
        whole = memoryview(chunk)
        for at in range(0, len(whole), PIECE_BYTES):
            piece = whole[at : at + PIECE_BYTES]
            while self._sent_bytes - self._consumed_bytes > AHEAD_BYTES and not self._ended:
                self._check()
                await self._change.wait()
            self._check()
            if self._ended:
                return
            self._work_comes()
            self._sent_bytes += len(piece)
            self._write(ChunkMessage(len(piece)), piece)

    async def finish(self) -> None:
        if not self._finished:
            self._work_comes()
            self._finished = True
            self._write(FinishMessage())

    async def next_frame(self) -> DecodedFrame | None:
        while not self._frames:
            self._check()
            if self._ended:
                return None
            await self._change.wait()
        return self._frames.popleft()

    async def take(self, number: int) -> bytes:
        if number not in self._held:
            raise ValueError(f"frame {number} isn't held")
        if self._gone is not None:
            raise self._gone
        self._work_comes()
        self._held.discard(number)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._takes[number] = answer
        self._write(TakeMessage(number))
        try:
            return await answer
        finally:
            self._takes.pop(number, None)

    def drop(self, number: int) -> None:
        if number in self._held:
            self._work_comes()
            self._held.discard(number)
            self._write(DropMessage(number))

    async def close(self) -> None:
        self._closed = True
        self._fail("the decoder is closed")
        self._end_process()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _spawn(self) -> tuple[asyncio.StreamReader, asyncio.subprocess.Process]:
        ours, theirs = socket.socketpair()
        config = DecodingConfig(theirs.fileno(), self._codec, dict(self._limits), self._window, self._memory_bytes)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", self._module, msgspec.json.encode(config).decode(),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C at a terminal is for us
                    env={
                        **os.environ,
                        **keeping_buffers(KEPT_BYTES),
                        "OMP_NUM_THREADS": "1",
                        "OPENBLAS_NUM_THREADS": "1",
                        "OPENCV_LOG_LEVEL": "OFF",
                    },
                )
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        return reader, process

    async def _until_started(self) -> None:
        while not self._started:
            self._check()
            await self._change.wait()

    async def _listen(self, reader: asyncio.StreamReader, process: asyncio.subprocess.Process) -> None:
        """Reads the process's messages until it is gone, and sees to it that it is."""
        try:
            while True:
                message, blob = await _read_message(reader)
                self._progress_s = _now()
                self._hear(message, blob)
                self._notify()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (msgspec.MsgspecError, TypeError, KeyError):
            self._fail("the decoder broke its protocol")
            self._end_process()
        finally:
            status = await self._reap(process)
            self._fail(f"the decoder crashed (exit status {status})")

    async def _reap(self, process: asyncio.subprocess.Process) -> int:
        try:
            return await asyncio.wait_for(process.wait(), END_TIMEOUT_S)
        except TimeoutError:
            self._end_process()
            return await process.wait()

    def _hear(self, message: decoding_wire.Message, blob: bytes) -> None:
        if isinstance(message, FrameMessage):
            self._held.add(message.number)
            self._frames.append(DecodedFrame(message.number, message.time_s, message.width, message.height))
        elif isinstance(message, ConsumedMessage):
            self._consumed_bytes = message.size_bytes
        elif isinstance(message, PictureMessage):
            self._answer(message, blob)
        elif isinstance(message, EndMessage):
            self._ended = True
            self._failure = wire.error_from_wire(message.error) if message.error else None
        elif isinstance(message, ClipMessage):
            self._clip = ClipHeader(message.format, message.codec, message.width, message.height, message.times_s)
        elif isinstance(message, StartedMessage):
            self._started = True
        else:
            raise TypeError(f"a decoder doesn't say {type(message).__name__}")

    def _answer(self, message: PictureMessage, blob: bytes) -> None:
        answer = self._takes[message.number]
        if answer.done():
            return
        if message.error is None:
            answer.set_result(blob)
        else:
            answer.set_exception(wire.error_from_wire(message.error))

    async def _watch(self) -> None:
        """Ends a process that hangs."""
        while not self._closed:
            limit_s = self._stall_s if self._started else START_TIMEOUT_S
            await asyncio.sleep(min(1.0, self._stall_s / 4))
            if self._busy() and _now() - self._progress_s > limit_s:
                self._fail(f"the decoder hung: it showed no progress for {limit_s:g} s")
                self._end_process()
                return

    def _busy(self) -> bool:
        if not self._started or self._takes:
            return True
        has_input = self._sent_bytes > self._consumed_bytes or self._finished
        return has_input and not self._ended and len(self._held) < self._window

    def _work_comes(self) -> None:
        """Before something is asked of a process that has nothing to do: its time runs from now."""
        if not self._busy():
            self._progress_s = _now()

    def _write(self, message: decoding_wire.Message, blob: bytes | memoryview = b"") -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.writelines([decoding_wire.encode(message), blob] if blob else [decoding_wire.encode(message)])

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._gone is not None and not self._ended:
            raise self._gone

    def _fail(self, message: str) -> None:
        """The process is of no more use. Of the causes the first one counts."""
        if self._gone is None:
            self._gone = DecoderFailed(message)
            if not self._closed:
                logger.warning("a decoder ended: %s", message)
        for answer in self._takes.values():
            if not answer.done():
                answer.set_exception(self._gone)
        self._notify()

    def _end_process(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._writer is not None:
            self._writer.close()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _read_message(reader: asyncio.StreamReader) -> tuple[decoding_wire.Message, bytes]:
    (length,) = decoding_wire.PREFIX.unpack(await reader.readexactly(decoding_wire.PREFIX.size))
    if length > decoding_wire.MAX_HEADER_BYTES:
        raise ConnectionError(f"a header of {length} bytes")
    message = decoding_wire.decode(await reader.readexactly(length))
    return message, await reader.readexactly(decoding_wire.blob_size(message))
