"""Tries libedgetpu, a device and a model in a process of its own, and tells what came of it.

`load_delegate` holds the GIL, so that a device that doesn't answer would stop all threads; and a library that doesn't fit
the interpreter kills the process. Run as `python -m edge_runtime.backends.probe LIBRARY ADDRESS MODEL`, where the last two
may be empty, this is that process.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

Step = Literal["interpreter", "library", "model", "run", "done"]

LIMIT_S = 15.0
"""More than loading the firmware of a USB Accelerator takes; two of them fit into a worker's time to start."""


class Outcome(msgspec.Struct, frozen=True):
    """How far it came, and what happened there. `error`: the exception's class; `signal`: what killed it; `late`: it did
    not end in time. `said`: the last line that the library itself wrote. `runtime`: the interpreter's name and version.
    """

    step: Step
    error: str = ""
    message: str = ""
    signal: int = 0
    late: bool = False
    said: str = ""
    runtime: str = ""

    @property
    def good(self) -> bool:
        """Whether everything that was tried worked."""
        return self.step == "done"


def probe(library: str, address: str, model: Path | None = None, *, limit_s: float = LIMIT_S) -> Outcome:
    """Loads the library and opens the device; with `model`, a compiled file, also opens and runs that."""
    words = [sys.executable, "-P", "-m", "edge_runtime.backends.probe", library, address, str(model or "")]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            told, said = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            told, said = process.communicate()
            return _outcome(told, said, late=True)
    return _outcome(told, said, signal=max(0, -process.returncode))


def _outcome(told: bytes, said: bytes, *, signal: int = 0, late: bool = False) -> Outcome:
    lines = [line for line in told.splitlines() if line.startswith(b'{"step"')]
    last = msgspec.json.decode(lines[-1], type=Outcome) if lines else Outcome("interpreter")
    words = said.decode(errors="replace").strip().splitlines()
    return msgspec.structs.replace(last, signal=signal, late=late, said=words[-1] if words else "")


def main(library: str, address: str, model: str) -> None:
    """Says each step before it is taken, so that the last word of a process that dies is the step that killed it."""
    reached = _say(Outcome("interpreter"))
    try:
        from edge_runtime.backends import edgetpu, tflite

        reached = _say(Outcome("library", runtime=tflite.runtime()))
        if not model:
            device = tflite.load_delegate(library, edgetpu.options(address))
        else:
            reached = _say(msgspec.structs.replace(reached, step="model"))
            device = edgetpu.make_interpreter(library, address, Path(model))
            device.allocate_tensors()
            reached = _say(msgspec.structs.replace(reached, step="run"))
            device.invoke()
        _say(msgspec.structs.replace(reached, step="done"))
    except Exception as error:
        _say(msgspec.structs.replace(reached, error=type(error).__name__, message=str(error).strip()))
    os._exit(0)  # an unfit library may crash when it is unloaded, which no longer matters


def _say(outcome: Outcome) -> Outcome:
    print(msgspec.json.encode(outcome).decode(), flush=True)
    return outcome


if __name__ == "__main__":
    main(*sys.argv[1:4])
