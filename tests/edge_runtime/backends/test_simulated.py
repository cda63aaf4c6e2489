"""The simulated Edge TPU: it takes its time, does wrong on command, and never passes for a device."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from domains import registry
from edge_runtime.backends import Backend, load_backend
from edge_runtime.backends.simulated import AMBIENT_C, SimulatedBackend
from edge_runtime.errors import DeviceFault, FaultKind
from edge_runtime.simulated_faults import command_fault
from edge_runtime.timing import BUSES, load_s, profile_of, run_s

LUNG = registry.models_folder("pathology") / "lung_ultrasound" / "int8.tflite"
BREAST = registry.models_folder("pathology") / "breast_ultrasound" / "int8.tflite"
PIXELS = np.zeros((1, 224, 224, 3), np.int8)


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    return tmp_path / "simulated" / "simulated_usb3.json"


@pytest.fixture
def device(faults: Path) -> Backend:
    return load_backend("simulated", "usb3", faults_file=faults)


def test_it_is_called_simulated_wherever_it_is_named() -> None:
    assert load_backend("simulated", "usb3").describe() == "simulated Edge TPU (USB 3)"
    assert load_backend("simulated", "pcie:1").describe() == "simulated Edge TPU (PCIe)"
    assert SimulatedBackend.simulated


def test_a_run_takes_no_less_than_published_figures_say_nor_does_the_first_after_another_model() -> None:
    device = load_backend("simulated", "usb2")
    lung, breast = device.open(LUNG), device.open(BREAST)
    profile, bus = profile_of(LUNG), BUSES["usb2"]
    breast.invoke(PIXELS)
    assert seconds(lambda: lung.invoke(PIXELS)) >= run_s(profile, bus) + load_s(profile, bus)
    assert seconds(lambda: lung.invoke(PIXELS)) >= run_s(profile, bus)


def test_while_it_works_other_threads_go_on(faults: Path, device: Backend) -> None:
    session = device.open(LUNG)
    session.invoke(PIXELS)
    command_fault(faults, "slow", factor=200)
    working = threading.Thread(target=session.invoke, args=(PIXELS,))
    working.start()
    turns = 0
    while working.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 50


def test_slow_takes_that_many_times_as_long_until_it_is_over(faults: Path, device: Backend) -> None:
    session = device.open(LUNG)
    session.invoke(PIXELS)
    command_fault(faults, "slow", factor=800, for_s=1.0)
    assert seconds(lambda: session.invoke(PIXELS)) >= 800 * run_s(profile_of(LUNG), BUSES["usb3"]) > 1.0
    assert seconds(lambda: session.invoke(PIXELS)) < 1.0


def test_unplugged_fails_the_next_run_and_is_absent_until_it_is_plugged_in(faults: Path, device: Backend) -> None:
    session = device.open(LUNG)
    command_fault(faults, "unplugged")
    assert fault_kind(lambda: session.invoke(PIXELS)) is FaultKind.LOST
    assert fault_kind(lambda: load_backend("simulated", "usb3", faults_file=faults)) is FaultKind.ABSENT
    command_fault(faults, "none")
    assert load_backend("simulated", "usb3", faults_file=faults).open(LUNG).invoke(PIXELS)


def test_absent_is_not_there_at_the_start(faults: Path) -> None:
    command_fault(faults, "absent", for_s=0.3)
    assert fault_kind(lambda: load_backend("simulated", "usb3", faults_file=faults)) is FaultKind.ABSENT
    time.sleep(0.3)
    assert load_backend("simulated", "usb3", faults_file=faults)


def test_wrong_answers_are_far_off_and_right_ones_come_back(faults: Path, device: Backend) -> None:
    session = device.open(LUNG)
    right = session.invoke(PIXELS)
    command_fault(faults, "wrong")
    wrong = session.invoke(PIXELS)
    assert all(np.abs(one.astype(int) - other.astype(int)).min() >= 64 for one, other in zip(right, wrong, strict=True))
    command_fault(faults, "none")
    assert all(np.array_equal(one, other) for one, other in zip(right, session.invoke(PIXELS), strict=True))


@pytest.mark.parametrize(("fault", "ends_by"), [("crash", signal.SIGSEGV), ("hung", None)])
def test_a_crash_ends_the_process_and_a_hang_never_comes_back(faults: Path, fault: str, ends_by: signal.Signals | None) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\nfrom edge_runtime.backends import load_backend\n"
        "session = load_backend('simulated', 'usb3', faults_file=Path(sys.argv[1])).open(Path(sys.argv[2]))\n"
        "print('ready', flush=True)\nsys.stdin.readline()\nsession.invoke(np.zeros((1, 224, 224, 3), np.int8))\nprint('back')"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(faults), str(LUNG)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        command_fault(faults, fault)
        process.stdin.write(b"go\n")
        process.stdin.flush()
        try:
            assert process.wait(2.0) == -(ends_by or 0)
        except subprocess.TimeoutExpired:
            assert ends_by is None
            process.kill()
        assert process.stdout.read() == b""


def test_a_hanging_device_does_not_answer_when_it_is_opened(faults: Path) -> None:
    command_fault(faults, "hung")
    assert fault_kind(lambda: load_backend("simulated", "usb3", faults_file=faults)) is FaultKind.HUNG


def test_only_pcie_has_a_temperature_and_heat_shows_in_it(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    assert load_backend("simulated", "usb3").temperature_c() is None
    device = load_backend("simulated", "pcie", faults_file=faults)
    session = device.open(LUNG)
    session.invoke(PIXELS)
    mild = device.temperature_c()
    command_fault(faults, "hot")
    session.invoke(PIXELS)
    hot = device.temperature_c()
    assert mild is not None
    assert hot is not None
    assert AMBIENT_C < mild < 60
    assert 80 < hot < 125


def test_several_devices_do_not_know_each_other(tmp_path: Path) -> None:
    one = load_backend("simulated", "usb3", faults_file=tmp_path / "one.json").open(LUNG)
    other = load_backend("simulated", "usb3:1", faults_file=tmp_path / "other.json").open(LUNG)
    command_fault(tmp_path / "one.json", "unplugged")
    assert fault_kind(lambda: one.invoke(PIXELS)) is FaultKind.LOST
    assert other.invoke(PIXELS)


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def fault_kind(action: Callable[[], object]) -> FaultKind:
    with pytest.raises(DeviceFault) as raised:
        action()
    return raised.value.kind
