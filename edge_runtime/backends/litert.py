"""The CPU, by the TFLite interpreter: LiteRT's with its XNNPACK kernels where it is installed."""

import platform
from pathlib import Path

from edge_runtime.backends import VARIANTS
from edge_runtime.backends.base import Backend, Session
from edge_runtime.backends.tflite import open_file


class LiteRTBackend(Backend):
    """Runs int8 and float32 variants on the CPU. `address`: the variant that it runs where a model has both; int8 unless
    given. Raises ValueError for one that it can't run.
    """

    name = "litert"
    variants = VARIANTS[name]

    def __init__(self, address: str = "", *, faults_file: Path | None = None) -> None:
        super().__init__(address, faults_file=faults_file)
        if address:
            if address not in self.variants:
                raise ValueError(f"the CPU runs no variant {address!r}; choose from {', '.join(self.variants)}")
            self.variants = (address, *(variant for variant in self.variants if variant != address))

    def describe(self) -> str:
        return f"CPU ({platform.machine()})"

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return open_file(path, threads)


BACKEND = LiteRTBackend
