"""The CPU, by the TFLite interpreter: LiteRT's with its XNNPACK kernels where it is installed."""

import platform
from pathlib import Path

from edge_runtime.backends import VARIANTS
from edge_runtime.backends.base import Backend, Session
from edge_runtime.backends.tflite import open_file


class LiteRTBackend(Backend):
    """Runs int8 and float32 variants on the CPU."""

    name = "litert"
    variants = VARIANTS[name]

    def describe(self) -> str:
        return f"CPU ({platform.machine()})"

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return open_file(path, threads)


BACKEND = LiteRTBackend
