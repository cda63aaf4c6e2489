"""Devices have one name each, and what is attached is found without loading anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.backends import VARIANTS, load_backend
from edge_runtime.devices import DeviceSpec, PciModule, UsbAccelerator, attached, discover, parse_device
from edge_runtime.embedded import NodeConfig, device_configs
from edge_runtime.simulated_faults import FAULTS, command_fault, faults_file, present_fault
from edge_runtime.usb_reset import reset_usb
from tests.edge_runtime.backends.fake_edgetpu import attach_pci, attach_usb


@pytest.mark.parametrize(("text", "backend", "address"), [
    ("cpu", "litert", ""), ("cpu:int8", "litert", "int8"), ("cpu:float32", "litert", "float32"),
    ("edgetpu", "edgetpu", ""), ("edgetpu:usb", "edgetpu", "usb"), ("edgetpu:usb:1", "edgetpu", "usb:1"),
    ("edgetpu:pci:0", "edgetpu", "pci:0"), ("edgetpu::1", "edgetpu", ":1"),
    ("simulated:usb2", "simulated", "usb2"), ("simulated:pcie:3", "simulated", "pcie:3"),
])
def test_a_device_is_named_by_its_text(text: str, backend: str, address: str) -> None:
    assert parse_device(text) == DeviceSpec(text, backend, address)
    assert backend in VARIANTS


@pytest.mark.parametrize("text", [
    "", "gpu", "cpu:0", "cpu:", "cpu:int8_edgetpu", "edgetpu:", "edgetpu:usb:", "edgetpu:tpu0", "edgetpu:usb:0:1", "simulated", "simulated:usb4", "CPU",
])
def test_a_name_that_names_nothing_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError, match=r"choose from cpu, cpu:int8, cpu:float32, edgetpu, .*simulated:usb3"):
        parse_device(text)


def test_a_cpu_can_be_told_which_variant_it_runs_of_models_that_have_both() -> None:
    assert load_backend("litert").variants == load_backend("litert", "int8").variants == ("int8", "float32")
    assert load_backend("litert", "float32").variants == ("float32", "int8")
    with pytest.raises(ValueError, match="int8, float32"):
        load_backend("litert", "float16")


def test_the_same_cpu_is_not_taken_twice() -> None:
    (only,) = device_configs(NodeConfig(devices=("cpu:float32",)))
    assert (only.backend, only.address, only.accelerator) == ("litert", "float32", False)
    with pytest.raises(ValueError, match="cpu and cpu:float32 are the same CPU"):
        device_configs(NodeConfig(devices=("cpu", "cpu:float32")))


def test_where_nothing_is_attached_nothing_is_found(tmp_path: Path) -> None:
    assert discover(tmp_path) == []
    assert attached("", tmp_path) is None


def test_accelerators_are_found_before_and_after_they_have_their_firmware(tmp_path: Path) -> None:
    attach_usb(tmp_path, "1-4", initialised=False, number=3)
    attach_usb(tmp_path, "2-1", number=12)
    assert [spec.name for spec in discover(tmp_path)] == ["edgetpu:usb:0", "edgetpu:usb:1"]
    assert attached("usb:1", tmp_path) == UsbAccelerator("2-1", tmp_path / "dev/bus/usb/002/012", initialised=True)
    assert attached("usb:2", tmp_path) is None
    assert attached("pci", tmp_path) is None


def test_other_usb_devices_are_none(tmp_path: Path) -> None:
    attach_usb(tmp_path)
    (tmp_path / "sys/bus/usb/devices/2-1/idProduct").write_text("4ee7\n")
    assert discover(tmp_path) == []


def test_modules_with_a_driver_are_found_in_their_order_and_those_without_are_not_used(tmp_path: Path) -> None:
    attach_pci(tmp_path, 10, slot="0000:05:00.0")
    attach_pci(tmp_path, 2, slot="0000:04:00.0")
    attach_pci(tmp_path, None, slot="0000:06:00.0")
    attach_usb(tmp_path)
    assert [spec.name for spec in discover(tmp_path)] == ["edgetpu:pci:0", "edgetpu:pci:1", "edgetpu:usb:0"]
    assert attached("pci:0", tmp_path) == PciModule("0000:04:00.0", 2, tmp_path / "dev/apex_2")
    assert attached("pci:2", tmp_path) == PciModule("0000:06:00.0")
    assert isinstance(attached("", tmp_path), PciModule)


def test_a_container_that_sees_only_the_device_file_has_the_device(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    assert [spec.name for spec in discover(tmp_path)] == ["edgetpu:pci:0"]


def test_names_are_read_without_numpy_or_an_interpreter() -> None:
    script = ("import sys, edge_runtime.devices, edge_runtime.timing, edge_runtime.simulated_faults, edge_runtime.usb_reset\n"
              "print(sorted({'numpy', 'cv2', 'ai_edge_litert', 'tflite_runtime'} & set(sys.modules)))")
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "[]"


def test_a_fault_is_in_force_until_its_time_is_over_or_it_is_taken_back(tmp_path: Path) -> None:
    file = faults_file(tmp_path / "simulated", "simulated:usb3:1")
    assert file == tmp_path / "simulated" / "simulated_usb3_1.json"
    assert present_fault(file) is None
    for name in FAULTS:
        command_fault(file, name)
        fault = present_fault(file)
        assert fault is not None
        assert fault.fault == name
    command_fault(file, "slow", for_s=-1.0)
    assert present_fault(file) is None
    command_fault(file, "hung", for_s=100.0)
    assert present_fault(file) is not None
    command_fault(file, "none")
    assert present_fault(file) is None
    assert [left.name for left in file.parent.iterdir()] == []


def test_a_fault_that_does_not_exist_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no fault 'melt'; choose from absent, .*none"):
        command_fault(tmp_path / "f.json", "melt")
    with pytest.raises(ValueError, match="the factor is 0"):
        command_fault(tmp_path / "f.json", "slow", factor=0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_commands_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('{"fault": "melt"}')
    with pytest.raises(ValueError, match="commands no fault"):
        present_fault(tmp_path / "f.json")


def test_a_device_that_can_not_be_reset_by_usbfs_has_its_port_switched_off_and_on(tmp_path: Path) -> None:
    attach_usb(tmp_path)
    switch = tmp_path / "sys/bus/usb/devices/2-1/authorized"
    switch.write_text("1")
    assert reset_usb("usb", tmp_path) == (
        "its reset by usbfs failed (Inappropriate ioctl for device); its port was switched off and on (port 2-1)"
    )
    assert switch.read_text() == "1"


def test_a_reset_that_is_not_permitted_says_what_was_tried(tmp_path: Path) -> None:
    attach_usb(tmp_path).unlink()
    (tmp_path / "sys/bus/usb/devices/2-1/authorized").mkdir()
    told = reset_usb("usb:0", tmp_path)
    assert told.startswith("not reset: its reset by usbfs failed (No such file or directory), and so did switching its port")


def test_there_is_nothing_to_reset_where_nothing_is_attached_or_the_driver_does_it(tmp_path: Path) -> None:
    assert reset_usb("usb", tmp_path) == "not reset: it is not attached"
    attach_pci(tmp_path)
    assert reset_usb("pci:0", tmp_path) == "not reset: on PCIe the driver does so when the device is opened"
