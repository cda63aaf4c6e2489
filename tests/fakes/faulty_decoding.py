"""A decoder's process that fails on command: it speaks the real protocol, but decodes nothing.

Its stream is a row of words with a space behind each: `frame` gives a frame, `crash` ends the process, `hang` never comes
back, `slow` takes 0.6 s, `memory` takes more than there is, `babble` breaks the protocol, `unforeseen` raises what nobody expected. A clip that
begins with `crash` ends the process before it has told anything. A frame `stuck` can't be converted: that never comes back.
"""

import os
import signal
import time
from collections.abc import Iterator

import numpy as np

from domains.core import Pixels
from domains.media.video import TimedFrame
from edge_runtime.decoding import DecodingProcess, main
from edge_runtime.decoding_wire import CLIP, ClipMessage, DecodingConfig


def open_words(config: DecodingConfig, source: DecodingProcess) -> tuple[ClipMessage | None, Iterator[TimedFrame]]:
    """What the words ask for."""
    if config.codec == CLIP and source.read_all().startswith(b"crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    return None, _frames(config, source)


def _frames(config: DecodingConfig, source: DecodingProcess) -> Iterator[TimedFrame]:
    number, text = 0, b""
    while data := source.read(100):
        text += data
        while b" " in text:
            word, text = text.split(b" ", 1)
            if word in (b"frame", b"stuck"):
                yield TimedFrame(number / 10, 20, 16, _stuck if word == b"stuck" else _black)
                number += 1
            elif word == b"crash":
                os.kill(os.getpid(), signal.SIGKILL)
            elif word == b"hang":
                time.sleep(1000)
            elif word == b"slow":
                time.sleep(0.6)
            elif word == b"memory":
                np.ones(config.memory_bytes, np.uint8)
            elif word == b"babble":
                source._socket.sendall(b"\0\0\0\4junk")
            elif word == b"unforeseen":
                raise RuntimeError("DOE^JANE")


def _black() -> Pixels:
    return np.zeros((16, 20, 3), np.uint8)


def _stuck() -> Pixels:
    time.sleep(1000)
    return _black()


if __name__ == "__main__":
    main(open_words)
