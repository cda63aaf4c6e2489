"""`python -m edge_runtime.toolchain.report.peak FILE 1 HEIGHT WIDTH CHANNELS` prints by how many bytes the resident memory
grew, at most, while the file was loaded and run once.

The kernel's own high-water mark of this process is read (`VmHWM`), not `ru_maxrss`, which a process inherits from whoever
started it.
"""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_runtime.backends.tflite import Interpreter, TFLiteSession

STATUS = Path("/proc/self/status")
_FORGET = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


def grown(file: str, shape: Sequence[int]) -> int:
    """Bytes, of this process. `shape`: the input's."""
    with contextlib.suppress(OSError):
        _FORGET.write_text(_FORGET_PEAK, encoding="ascii")
    before = _kept("VmRSS")
    interpreter = Interpreter(model_path=file, num_threads=1)
    given = interpreter.get_input_details()[0]
    if tuple(given["shape"]) != tuple(shape):
        interpreter.resize_tensor_input(given["index"], list(shape))
    interpreter.allocate_tensors()
    TFLiteSession(interpreter).invoke(np.zeros(shape, given["dtype"]))
    return max(0, _kept("VmHWM") - before)


def _kept(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(grown(sys.argv[1], tuple(map(int, sys.argv[2:]))))
