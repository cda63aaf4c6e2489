"""The TFLite interpreter: `ai_edge_litert`, or `tflite_runtime` (old Coral images, numpy 1) where that isn't installed.

Both have the same API. Importing this raises DeviceFault where neither is there.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends.base import Session
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.tflite_file import CUSTOM_OP, Graph, read_graph

try:
    from ai_edge_litert.interpreter import Interpreter, load_delegate
    RUNTIME = "ai-edge-litert"
except ModuleNotFoundError:
    try:
        from tflite_runtime.interpreter import Interpreter, load_delegate
        RUNTIME = "tflite-runtime"
    except ModuleNotFoundError as missing:
        raise DeviceFault(
            "no TFLite interpreter is installed: hedgerow[edge] brings ai-edge-litert, hedgerow[coral] tflite-runtime",
            kind=FaultKind.LIBRARY_MISSING,
        ) from missing

__all__ = ["RUNTIME", "Interpreter", "TFLiteSession", "check_file", "load_delegate", "open_file", "runtime"]

"""The one operation that the Edge TPU compiler makes of all that it maps; only libedgetpu knows it."""


def runtime() -> str:
    """The interpreter's package and version."""
    return f"{RUNTIME} {version(RUNTIME)}"


class TFLiteSession(Session):
    """One interpreter with its tensors allocated. `invoke` releases the GIL; one thread at a time."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        self.give(tensor)
        return self.run()

    def give(self, tensor: NDArray[np.generic]) -> None:
        """Sets the input. Raises ValueError where shape or dtype are another."""
        self._interpreter.set_tensor(self._input, tensor)

    def run(self) -> Sequence[NDArray[np.generic]]:
        """Runs on the input that was set. Raises RuntimeError where a delegate fails."""
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def check_file(path: Path) -> Graph:
    """What is in a file, read without the interpreter, which a broken one can kill. Raises PackageError for one."""
    try:
        return read_graph(path)
    except ValueError as error:
        raise PackageError(f"model package {path.parent.name}: {error}") from error


def open_file(path: Path, threads: int) -> TFLiteSession:
    """A session on the CPU. Raises PackageError where the file can't be loaded."""
    check_file(path)
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
        return TFLiteSession(interpreter)
    except (ValueError, RuntimeError) as error:
        why = "is compiled for the Edge TPU" if CUSTOM_OP in str(error) else f"can't be loaded by {RUNTIME}"
        raise PackageError(f"model package {path.parent.name}: {path.name} {why}") from error
