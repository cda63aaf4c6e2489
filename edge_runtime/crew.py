"""The threads of the CPU's process. Each has a copy of every model; who is alone at work takes one that runs on several cores."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from edge_runtime.backends import Backend
from edge_runtime.models import ModelPackage
from edge_runtime.runner import LoadedModel

QUIET_S = 0.1
"""For so long after two were at work at once nobody counts as alone: where the next task is about to come, all cores are taken, and
what several threads wait for each other is lost.
"""


class Crew:
    """Knows which threads are at work. For any thread."""

    def __init__(self) -> None:
        self._working: set[int] = set()
        self._crowded_at = float("-inf")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around a task."""
        own = threading.get_ident()
        self._working.add(own)
        if len(self._working) > 1:
            self._crowded_at = time.monotonic()
        try:
            yield
        finally:
            self._working.discard(own)

    @property
    def alone(self) -> bool:
        """Whether the calling thread is at work and no other one is, or was beside another one just before. As long as it stays at
        work, it is so for no other one.
        """
        return self._working == {threading.get_ident()} and time.monotonic() - self._crowded_at > QUIET_S


class CrewModel(LoadedModel):
    """One thread's copy of a model. While that thread is alone at work `wide`, which all threads share, runs in its place."""

    def __init__(self, package: ModelPackage, backend: Backend, crew: Crew, wide: LoadedModel) -> None:
        super().__init__(package, backend)
        self._crew = crew
        self._wide = wide

    def run_raw(self, pixels: Pixels) -> Mapping[str, NDArray[np.generic]]:
        return self._wide.run_raw(pixels) if self._crew.alone else super().run_raw(pixels)
