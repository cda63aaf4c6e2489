"""The CPU, by LiteRT's TFLite interpreter with its XNNPACK kernels."""

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge_runtime.backends import VARIANTS
from edge_runtime.backends.base import Backend, Session
from edge_runtime.errors import PackageError


class LiteRTSession(Session):
    """One interpreter. `invoke` releases the GIL."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise PackageError(f"model package {path.parent.name}: {path.name} can't be loaded by LiteRT") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class LiteRTBackend(Backend):
    """Runs int8 and float32 variants on the CPU."""

    name = "litert"
    variants = VARIANTS[name]

    def describe(self) -> str:
        return f"CPU ({platform.machine()})"

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return LiteRTSession(path, threads)


BACKEND = LiteRTBackend
