"""The process that cleans a picture, failing on command: it speaks the real protocol, but cleans nothing.

The picture is a word, with a folder behind it: `crash` ends the process, `hang` starts another one and never comes back,
`memory` takes more than there is, `babble` breaks the protocol, `unforeseen` raises what nobody expected, `tell` says what
it was started with, `count` says how many run beside it, `large` gives back a mebibyte.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gateway.service.leaving import clean_process
from gateway.service.leaving.cleaning_wire import CleanedMessage, HeldMessage, OrderMessage, Reply


def by_word(order: OrderMessage, payload: bytes) -> tuple[Reply, bytes]:
    """What the word asks for."""
    word, _, folder = payload.decode().partition(" ")
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif word == "hang":
        with subprocess.Popen(["/bin/sleep", "1000"]) as child:
            Path(folder, "child").write_text(str(child.pid))
    elif word == "memory":
        np.ones(order.memory_bytes, np.uint8)
    elif word == "babble":
        sys.stdout.buffer.write(b"\0\0\0\4junk")
        sys.stdout.buffer.flush()
    elif word == "unforeseen":
        os.write(2, b"DOE^JANE")  # as native code does
        raise RuntimeError("DOE^JANE")
    elif word == "large":
        return CleanedMessage(2**20, "png", [], {}), bytes(2**20)
    elif word == "count":
        mine = Path(folder, str(os.getpid()))
        mine.touch()
        time.sleep(0.5)
        count = len(list(Path(folder).iterdir()))
        mine.unlink()
        return HeldMessage(str(count)), b""
    told = {"argv": sys.argv, "environ": dict(os.environ), "nice": os.getpriority(os.PRIO_PROCESS, 0), "key": order.tenant_key.hex()}
    return HeldMessage(json.dumps(told)), b""


if __name__ == "__main__":
    clean_process.clean = by_word  # type: ignore[assignment] # no reader of text here
    clean_process.main()
