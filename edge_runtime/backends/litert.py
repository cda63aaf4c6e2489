"""The CPU, by the TFLite interpreter: LiteRT's with its XNNPACK kernels where it is installed."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        return open_file(path, 1) if threads == 1 else _SpreadSession(path, threads)


class _SpreadSession(Session):
    """An interpreter over several cores: whoever invokes it is on the first of them meanwhile, its own threads are on the others.
    Left to choose, the kernel of a virtual machine wakes them where the caller runs, and they take turns.
    """

    def __init__(self, path: Path, threads: int) -> None:
        first, *others = sorted(os.sched_getaffinity(0))
        self._first = {first}
        with _on(others):  # the threads that are made here stay there
            self._session = open_file(path, threads)

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        with _on(self._first):
            return self._session.invoke(tensor)


@contextmanager
def _on(cores: Iterable[int]) -> Iterator[None]:
    """The calling thread on these cores, unless they were taken from the process meanwhile."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


BACKEND = LiteRTBackend
