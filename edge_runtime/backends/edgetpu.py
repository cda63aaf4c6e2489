"""A Coral Edge TPU on USB, PCIe or M.2: the TFLite interpreter with libedgetpu as its delegate.

Library, device and each new model are first tried in a process of their own (probe.py); what fails there is explained
(explain.py) instead of killing or stopping this process. Google's pycoral is used where it is installed; the package of
that name on the public index is another program.
"""

import importlib
import importlib.util
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_runtime import devices
from edge_runtime.backends import VARIANTS
from edge_runtime.backends.base import Backend, Session
from edge_runtime.backends.explain import explain
from edge_runtime.backends.probe import Outcome, probe
from edge_runtime.backends.tflite import Interpreter, TFLiteSession, check_file, load_delegate, runtime
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.tflite_file import CUSTOM_OP

logger = logging.getLogger(__name__)

LIBRARY = "libedgetpu.so.1"

PLAUSIBLE_C = (-40.0, 125.0)
"""The driver computes its temperature from a 10-bit reading as (662 - reading) * 0.25 + 0.55 (apex_driver.c); without a
sensor's answer all bits are set, or nearly, and it tells -89.7 or -87.9 degrees (google-coral/edgetpu#843, #859).
"""


def options(address: str) -> dict[str, str]:
    """What libedgetpu is told: which device; it takes the first one where none is named."""
    return {"device": address} if address else {}


def make_interpreter(library: str, address: str, path: Path) -> Any:
    """An interpreter of a compiled file, its tensors not yet allocated. Blocks, crashes and raises as libedgetpu does."""
    pycoral = google_pycoral()
    if pycoral is not None and library == LIBRARY:
        return pycoral.make_interpreter(str(path), device=address or None)
    return Interpreter(model_path=str(path), experimental_delegates=[load_delegate(library, options(address))])


def google_pycoral() -> ModuleType | None:
    """Google's `pycoral.utils.edgetpu`; None where it isn't installed. No other package of that name is imported."""
    found = importlib.util.find_spec("pycoral")
    if found is None:
        return None
    folders = [Path(folder) for folder in found.submodule_search_locations or ()]
    if not any((folder / "utils" / "edgetpu.py").is_file() for folder in folders):
        logger.warning(
            "the installed package pycoral is not Google's: it has no pycoral.utils.edgetpu and is not used. On the public "
            "index that name belongs to another program; Google's is not there. libedgetpu is used without it"
        )
        return None
    try:
        return importlib.import_module("pycoral.utils.edgetpu")
    except ImportError as error:
        logger.warning("pycoral can't be imported (%s); libedgetpu is used without it", error)
        return None


class EdgeTpuSession(Session):
    """One compiled model. May be used by several threads: the device takes one run at a time."""

    def __init__(self, interpreter: TFLiteSession, device: threading.Lock, name: str) -> None:
        self._interpreter = interpreter
        self._device = device
        self._name = name

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        with self._device:
            self._interpreter.give(tensor)
            try:
                return self._interpreter.run()
            except (RuntimeError, ValueError) as error:
                raise DeviceFault(
                    f"a run on the {self._name} failed ({error}): unplugged, reset, or short of power", kind=FaultKind.LOST
                ) from error


class EdgeTpuBackend(Backend):
    """An Edge TPU. `address`: in libedgetpu's own words, see devices.py."""

    name = "edgetpu"
    variants = VARIANTS[name]
    accelerator = True
    library: ClassVar[str] = LIBRARY
    root: ClassVar[Path] = Path("/")
    """Where sys and dev are."""

    def __init__(self, address: str = "", *, faults_file: Path | None = None) -> None:
        super().__init__(address, faults_file=faults_file)
        self._lock = threading.Lock()
        self._tried = False
        self._judge(probe(self.library, address))

    def describe(self) -> str:
        device = devices.attached(self.address, self.root)
        if isinstance(device, devices.PciModule):
            return f"Edge TPU (PCIe, apex_{device.number})"
        return f"Edge TPU (USB, port {device.port})" if device else "Edge TPU"

    def open(self, path: Path, *, threads: int = 1) -> Session:  # noqa: ARG002 # what isn't mapped runs in one thread
        check_file(path)
        if CUSTOM_OP.encode() not in path.read_bytes():
            raise PackageError(f"model package {path.parent.name}: {path.name} is not compiled for the Edge TPU")
        if not self._tried:
            self._judge(probe(self.library, self.address, path))
            self._tried = True  # from here on this process holds the device, and another can't try it
        try:
            interpreter = make_interpreter(self.library, self.address, path)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            self._judge(Outcome("model", type(error).__name__, str(error).strip(), runtime=runtime()))
        return EdgeTpuSession(TFLiteSession(interpreter), self._lock, self.describe())

    def temperature_c(self) -> float | None:
        device = devices.attached(self.address, self.root)
        if not isinstance(device, devices.PciModule) or device.number is None:
            return None
        try:
            reading = (self.root / f"sys/class/apex/apex_{device.number}/temp").read_text(encoding="ascii")
            celsius = int(reading) / 1000
        except (OSError, ValueError):
            return None
        return celsius if PLAUSIBLE_C[0] <= celsius <= PLAUSIBLE_C[1] else None

    def _judge(self, outcome: Outcome) -> None:
        if not outcome.good:
            raise explain(outcome, self.library, self.address, self.root)


BACKEND = EdgeTpuBackend
