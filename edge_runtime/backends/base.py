"""The port that every accelerator implements."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class Session(ABC):
    """One model, loaded and ready on one device. Used by one thread at a time."""

    @abstractmethod
    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        """Runs the model on its one input tensor and gives its output tensors in the file's order, as copies."""


class Backend(ABC):
    """One kind of device."""

    name: str
    """The backend's name, as in settings."""

    variants: tuple[str, ...]
    """The variants it can run, best first."""

    @abstractmethod
    def describe(self) -> str:
        """The device in words, for provenance."""

    @abstractmethod
    def open(self, path: Path, *, threads: int = 1) -> Session:
        """Loads a TFLite file. Raises PackageError where the file can't be loaded on this device."""
