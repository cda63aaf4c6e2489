"""A simulated Edge TPU: the int8 model on the CPU for the answers, `timing.py` for the time, faults on command.

Its answers are those that the device is meant to give, since the compiler keeps the arithmetic of the int8 file. Its times
are modelled from published figures, and no shorter than this CPU takes for a picture that it hasn't just seen: the last few
answers are kept, so that a load of the same pictures gets the device's times rather than the CPU's, and leaves the CPU to
those that it is compared with. Whatever it answers is marked `simulated`: it is for tests and planning.
"""

import hashlib
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import VARIANTS
from edge_runtime.backends.base import Backend, Session
from edge_runtime.backends.tflite import TFLiteSession, open_file
from edge_runtime.errors import DeviceFault, FaultKind
from edge_runtime.simulated_faults import HOT_C, Fault, present_fault
from edge_runtime.timing import BUSES, Bus, ModelProfile, TimedTpu, profile_of

AMBIENT_C = 25.0

KEPT = 32
"""Answers of a model that are kept."""


class SimulatedDevice:
    """What all sessions share: one run at a time, one model's parameters resident, one temperature."""

    def __init__(self, bus: Bus, faults_file: Path | None) -> None:
        self.lock = threading.Lock()
        self.tpu = TimedTpu(bus, ambient_c=AMBIENT_C)
        self._faults_file = faults_file

    def fault(self) -> Fault | None:
        """What goes wrong at this moment."""
        return present_fault(self._faults_file)

    def obey(self, fault: Fault | None) -> None:
        """Does to the caller what the fault does to a run that begins now, as far as it doesn't come back."""
        kind = fault.fault if fault else ""
        if kind == "unplugged":
            raise DeviceFault("the simulated Edge TPU was unplugged on command", kind=FaultKind.LOST)
        if kind == "hung":
            threading.Event().wait()
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        self.tpu.ambient_c = HOT_C if kind == "hot" else AMBIENT_C


class SimulatedSession(Session):
    """One model on the device. May be used by several threads."""

    def __init__(self, device: SimulatedDevice, twin: TFLiteSession, profile: ModelProfile) -> None:
        self._device = device
        self._twin = twin
        self._profile = profile
        self._answers: OrderedDict[bytes, Sequence[NDArray[np.generic]]] = OrderedDict()

    def invoke(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        device = self._device
        with device.lock:
            began = time.monotonic()
            fault = device.fault()
            device.obey(fault)
            answer = self._answer(tensor)
            spent_s = device.tpu.run(self._profile, began).total_s
            if fault and fault.fault == "slow":
                spent_s *= fault.factor
            time.sleep(max(0.0, began + spent_s - time.monotonic()))
        wrong = fault is not None and fault.fault == "wrong"
        return [_corrupted(output) if wrong else output.copy() for output in answer]

    def _answer(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        """The twin's own arrays: to be copied."""
        self._twin.give(tensor)
        key = hashlib.blake2b(np.ascontiguousarray(tensor).data, digest_size=16).digest()
        if key not in self._answers:
            self._answers[key] = self._twin.run()
            if len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return self._answers[key]


class SimulatedBackend(Backend):
    """A simulated Edge TPU. `address`: its bus, and a number where there are several."""

    name = "simulated"
    variants = VARIANTS[name]
    accelerator = True
    simulated = True

    def __init__(self, address: str = "", *, faults_file: Path | None = None) -> None:
        super().__init__(address, faults_file=faults_file)
        bus = BUSES[address.partition(":")[0] or "usb3"]
        self._device = SimulatedDevice(bus, faults_file)
        fault = self._device.fault()
        if fault and fault.fault in {"absent", "unplugged"}:
            raise DeviceFault("the simulated Edge TPU is absent on command", kind=FaultKind.ABSENT)
        if fault and fault.fault == "hung":
            raise DeviceFault("the simulated Edge TPU doesn't answer, on command", kind=FaultKind.HUNG)

    def describe(self) -> str:
        return f"simulated Edge TPU ({self._device.tpu.bus.title})"

    def open(self, path: Path, *, threads: int = 1) -> Session:
        return SimulatedSession(self._device, open_file(path, threads), profile_of(path, name=str(path)))

    def temperature_c(self) -> float | None:
        tpu = self._device.tpu
        return tpu.temperature_c(time.monotonic()) if tpu.bus.has_sensor else None


def _corrupted(output: NDArray[np.generic]) -> NDArray[np.generic]:
    """Wrong by a quarter of an integer's range, or by one."""
    if output.dtype == np.int8:
        return (output.view(np.uint8) + np.uint8(64)).view(np.int8)
    return np.asarray(output + np.array(64 if output.dtype == np.uint8 else 1, output.dtype))


BACKEND = SimulatedBackend
