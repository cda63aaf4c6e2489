"""The port that every accelerator implements.

    Backend(address) -> open(file) -> Session.invoke(tensor) -> output tensors

A backend object is made in the process that owns the device, and lives as long as that process.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


class Session(ABC):
    """One model, loaded and ready on one device."""

    @abstractmethod
    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        """Runs the model on its one input tensor and gives its output tensors in the file's order, as copies.

        Sessions of an accelerator may be used by several threads, since the device takes one call at a time anyway;
        those of the CPU by one. Raises DeviceFault where the device, not the input, is at fault.
        """


class Backend(ABC):
    """One kind of device."""

    name: ClassVar[str]
    """The backend's name, as in settings."""

    variants: tuple[str, ...]
    """The variants it can run, best first."""

    accelerator: ClassVar[bool] = False
    """Whether it is a device beside the CPU: one session a model is shared by all threads, its memory holds one model at
    a time, and its answers are checked again while it serves."""

    simulated: ClassVar[bool] = False
    """Whether its times are modelled rather than taken by hardware. Told in every result."""

    def __init__(self, address: str = "", *, faults_file: Path | None = None) -> None:
        """`address`: which device, in the backend's own words; empty is the first one. `faults_file`: what a simulated
        device does wrong on command. Raises DeviceFault where the device can't be used.
        """
        self.address = address
        self.faults_file = faults_file

    @abstractmethod
    def describe(self) -> str:
        """The device in words, for provenance."""

    @abstractmethod
    def open(self, path: Path, *, threads: int = 1) -> Session:
        """Loads a TFLite file. Raises PackageError where the file can't be loaded, DeviceFault where the device can't."""

    def temperature_c(self) -> float | None:
        """Degrees Celsius of the device; None where it has no sensor or gives no reading."""
        return None
