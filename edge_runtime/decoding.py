"""The process of one decoder: bytes of a stream or a clip in, frames out.

Started as `python -m edge_runtime.decoding`, with a socket to its holder and a DecodingConfig as JSON. One thread does all:
it decodes, and between frames, while it waits for bytes, and while its window is full, it does what its holder says. It ends
when the socket closes, so it never outlives its holder.

Native code is fed by strangers here. So the process's memory is limited, and nothing but error classes of ours leaves it.
"""

import gc
import logging
import os
import resource
import select
import socket
import sys
import traceback
from collections.abc import Callable, Iterator

import cv2
import msgspec

from domains.errors import MediaError
from domains.media import Limits, pnm
from domains.media.video import TimedFrame, open_clip, stream_frames
from edge_runtime import decoding_wire, wire
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

logger = logging.getLogger(__name__)

COLLECT_EVERY = 16
"""Frames after which those that nobody holds are freed."""


class DecodingProcess:
    """The socket and the frames that wait to be taken."""

    def __init__(self, config: DecodingConfig) -> None:
        self._socket = socket.socket(fileno=config.socket_fd)
        self._config = config
        self._chunks = bytearray()
        self._finished = False
        self._handed_bytes = self._reported_bytes = 0
        self._held: dict[int, TimedFrame] = {}

    def run(self, open_frames: "OpenFrames") -> None:
        """Decodes to the end, then gives out what is still wanted until the socket closes."""
        self._send(StartedMessage())
        error: Exception | None = None
        try:
            header, frames = open_frames(self._config, self)
            if header is not None:
                self._send(header)
            for number, frame in enumerate(frames, start=1):
                self._announce(number, frame)
        except MediaError as refusal:
            error = refusal
        except MemoryError:
            error = DecoderFailed(f"decoding it takes more than {self._config.memory_bytes // 2**20} MiB of memory")
        except Exception as unforeseen:
            logger.error("decoding failed: %s\n%s", type(unforeseen).__name__, _where(unforeseen))
            error = DecoderFailed(f"unforeseen {type(unforeseen).__name__} in the decoder")
        self._send(EndMessage(wire.error_to_wire(error) if error else None))
        while True:
            self._obey()
            self._chunks.clear()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes of the stream, b"" at its end; waits for them."""
        if self._handed_bytes > self._reported_bytes:
            self._reported_bytes = self._handed_bytes
            self._send(ConsumedMessage(self._handed_bytes))
        while not self._chunks and not self._finished:
            self._obey()
        data = bytes(self._chunks[:size])
        del self._chunks[:size]
        self._handed_bytes += len(data)
        return data

    def read_all(self) -> bytes:
        """The whole input."""
        while not self._finished:
            self._obey()
        data = bytes(self._chunks)
        self._chunks.clear()
        return data

    def _announce(self, number: int, frame: TimedFrame) -> None:
        while len(self._held) >= self._config.window:
            self._obey()
        self._held[number] = frame
        if number % COLLECT_EVERY == 0:
            gc.collect()  # PyAV's frames and their side data hold each other
        self._send(FrameMessage(number, frame.time_s, frame.width, frame.height))
        while select.select([self._socket], [], [], 0)[0]:
            self._obey()

    def _obey(self) -> None:
        """Waits for one message and does what it says; ends the process where the socket is closed."""
        (length,) = decoding_wire.PREFIX.unpack(self._receive(decoding_wire.PREFIX.size))
        message = decoding_wire.decode(bytes(self._receive(length)))
        if isinstance(message, ChunkMessage):
            self._chunks += self._receive(message.size_bytes)
        elif isinstance(message, FinishMessage):
            self._finished = True
        elif isinstance(message, TakeMessage):
            self._give(message.number, self._held.pop(message.number))
        elif isinstance(message, DropMessage):
            del self._held[message.number]
        else:
            raise TypeError(f"a decoder isn't told {type(message).__name__}")

    def _give(self, number: int, frame: TimedFrame) -> None:
        try:
            picture = pnm.encode(pnm.without_colour(frame.pixels()), frame.regions)
        except Exception as error:
            logger.error("converting a frame failed: %s\n%s", type(error).__name__, _where(error))
            failure = DecoderFailed("a frame could not be converted")
            self._send(PictureMessage(number, error=wire.error_to_wire(failure)))
        else:
            self._send(PictureMessage(number, len(picture)), picture)

    def _send(self, message: decoding_wire.Message, blob: bytes = b"") -> None:
        try:
            self._socket.sendall(decoding_wire.encode(message))
            if blob:
                self._socket.sendall(blob)
        except OSError:
            os._exit(0)

    def _receive(self, size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = self._socket.recv_into(rest)
            except OSError:
                count = 0
            if count == 0:
                os._exit(0)
            rest = rest[count:]
        return data


OpenFrames = Callable[[DecodingConfig, DecodingProcess], tuple[ClipMessage | None, Iterator[TimedFrame]]]
"""From the input to its frames, and for a clip what it holds. Raises MediaError, there or in the frames."""


def open_frames(config: DecodingConfig, source: DecodingProcess) -> tuple[ClipMessage | None, Iterator[TimedFrame]]:
    """Frames through domains/media."""
    limits = Limits(**config.limits)
    if config.codec != CLIP:
        return None, stream_frames(config.codec, source, limits)
    clip = open_clip(source.read_all(), limits)
    return ClipMessage(clip.format, clip.codec, clip.width, clip.height, clip.times_s), clip.frames()


def main(opener: OpenFrames) -> None:
    """Entry point; `sys.argv[1]` is a DecodingConfig as JSON."""
    logging.basicConfig(level=logging.WARNING, format="decoder %(process)d: %(message)s")
    cv2.setNumThreads(1)
    config = msgspec.json.decode(sys.argv[1], type=DecodingConfig)
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_AS, (config.memory_bytes, config.memory_bytes))
    status = 0
    try:
        DecodingProcess(config).run(opener)
    except Exception as error:
        logger.error("decoder failed: %s\n%s", type(error).__name__, _where(error))
        status = 1
    os._exit(status)


def _where(error: Exception) -> str:
    """Where an error came from, without its message, which may quote a patient's file."""
    return "\n".join(f"  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__))


if __name__ == "__main__":
    main(open_frames)
