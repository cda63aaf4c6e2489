"""`hedgerow simulate`: a simulated device does wrong on command, a real one can't be told to."""

import os
import subprocess
from pathlib import Path

import pytest

from edge_runtime.simulated_faults import faults_file, present_fault
from tests.gateway_process import HEDGEROW


def simulate(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HEDGEROW), "simulate", *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "HEDGEROW_DATA_DIR": str(data)})


def test_a_fault_is_commanded_and_taken_back(tmp_path: Path) -> None:
    file = faults_file(tmp_path / "simulated", "simulated:usb3:1")
    done = simulate(tmp_path, "simulated:usb3:1", "slow", "--factor", "20", "--for", "30")
    assert (done.returncode, done.stdout) == (0, "simulated:usb3:1: slow for 30 s\n")
    fault = present_fault(file)
    assert fault is not None
    assert (fault.fault, fault.factor) == ("slow", 20.0)
    assert simulate(tmp_path, "simulated:usb3:1", "none").stdout == "simulated:usb3:1: none\n"
    assert present_fault(file) is None


def test_another_data_folder_can_be_named(tmp_path: Path) -> None:
    assert simulate(tmp_path, "simulated:pcie", "hung", "--data", str(tmp_path / "node")).returncode == 0
    assert present_fault(tmp_path / "node/simulated/simulated_pcie.json") is not None


@pytest.mark.parametrize(("words", "told"), [
    (("edgetpu:usb:0", "unplugged"), "edgetpu:usb:0 is not simulated"),
    (("simulated:usb9", "hung"), "there is no device 'simulated:usb9'"),
    (("simulated:usb3", "melt"), "there is no fault 'melt'"),
])
def test_what_can_not_be_commanded_is_refused_with_the_reason(tmp_path: Path, words: tuple[str, str], told: str) -> None:
    done = simulate(tmp_path, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert not list(tmp_path.rglob("*.json"))
