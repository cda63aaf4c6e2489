"""Names of devices, and which Edge TPUs are attached.

    cpu[:VARIANT]          this machine's CPU; VARIANT (int8, float32) is what it runs of a model that has it
    edgetpu[:ADDRESS]      an Edge TPU; ADDRESS in libedgetpu's own words: usb, usb:N, pci, pci:N or :N
    simulated:BUS[:N]      a simulated one on usb2, usb3 or pcie; N tells several apart

What is attached is read from /sys and /dev: libedgetpu is never loaded here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.timing import BUSES

AUTO = "auto"
"""In a list of devices: the CPU, and every Edge TPU that `discover` finds."""

USB_IDS = {("1a6e", "089a"): False, ("18d1", "9302"): True}
"""Vendor and product of a USB Accelerator, and whether it has its firmware: libedgetpu loads it at the first use, and the
device comes back under Google's numbers.
"""

PCI_ID = ("0x1ac1", "0x089a")
"""Vendor and device of a PCIe or M.2 module and of the Dev Board's chip."""

CPU_BACKEND = "litert"
CPU_VARIANTS = ("int8", "float32")
"""Which variants of a model a CPU runs, best first unless the device's name says otherwise."""

CHOICES = ", ".join((
    "cpu", *(f"cpu:{variant}" for variant in CPU_VARIANTS), "edgetpu", "edgetpu:usb:N", "edgetpu:pci:N",
    *(f"simulated:{bus}" for bus in BUSES),
))

_EDGETPU_ADDRESS = re.compile(r"(usb|pci)(:\d{1,2})?|:\d{1,2}")
_SIMULATED_ADDRESS = re.compile(rf"({'|'.join(BUSES)})(:\d{{1,2}})?")


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device. `name` is its text form and tells it from others; `address` is in the backend's own words."""

    name: str
    backend: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class UsbAccelerator:
    """A USB Accelerator as the kernel shows it. `node`: the file that a process has to be able to write."""

    port: str
    node: Path
    initialised: bool


@dataclass(frozen=True, slots=True)
class PciModule:
    """An Edge TPU on PCIe. `number` and `node` (/dev/apex_N) are None while the driver doesn't serve it."""

    slot: str
    number: int | None = None
    node: Path | None = None


def parse_device(text: str) -> DeviceSpec:
    """The device that `text` names. Raises ValueError, listing the choices, where it names none."""
    kind, _, address = text.partition(":")
    if text == "cpu" or (kind == "cpu" and address in CPU_VARIANTS):
        return DeviceSpec(text, CPU_BACKEND, address)
    if text == "edgetpu" or (kind == "edgetpu" and _EDGETPU_ADDRESS.fullmatch(address)):
        return DeviceSpec(text, "edgetpu", address)
    if kind == "simulated" and _SIMULATED_ADDRESS.fullmatch(address):
        return DeviceSpec(text, "simulated", address)
    raise ValueError(f"there is no device {text!r}; choose from {CHOICES}")


def discover(root: Path = Path("/")) -> list[DeviceSpec]:
    """The Edge TPUs that are attached and have a driver, PCIe first. `root`: where sys and dev are."""
    modules = sorted(module.number for module in pci_modules(root) if module.number is not None)
    accelerators = len(usb_accelerators(root))
    return [
        *(parse_device(f"edgetpu:pci:{position}") for position, _ in enumerate(modules)),
        *(parse_device(f"edgetpu:usb:{position}") for position in range(accelerators)),
    ]


def attached(address: str, root: Path = Path("/")) -> UsbAccelerator | PciModule | None:
    """The device at an address in libedgetpu's words; None where nothing is there. Without a bus PCIe counts first."""
    bus, _, number = address.partition(":")
    candidates: list[UsbAccelerator | PciModule] = []
    if bus != "usb":
        candidates += pci_modules(root)
    if bus != "pci":
        candidates += usb_accelerators(root)
    position = int(number or 0)
    return candidates[position] if position < len(candidates) else None


def usb_accelerators(root: Path = Path("/")) -> list[UsbAccelerator]:
    """The USB Accelerators, with firmware or without, in the order of their ports."""
    found = []
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        initialised = USB_IDS.get((_read(folder / "idVendor"), _read(folder / "idProduct")))
        bus, number = _read(folder / "busnum"), _read(folder / "devnum")
        if initialised is not None and bus.isdecimal() and number.isdecimal():
            node = root / f"dev/bus/usb/{int(bus):03}/{int(number):03}"
            found.append(UsbAccelerator(folder.name, node, initialised))
    return found


def pci_modules(root: Path = Path("/")) -> list[PciModule]:
    """The Edge TPUs on PCIe: those with a device file in the order of their numbers, then those without a driver.

    A container sees the device files, and perhaps not the bus; the bus shows modules whose driver is missing.
    """
    served = []
    for node in (root / "dev").glob("apex_*"):
        number = node.name.removeprefix("apex_")
        if number.isdecimal():
            slot = _read(root / "sys/class/apex" / node.name / "pci_address")
            served.append(PciModule(slot, int(number), node))
    slots = {
        folder.name for folder in (root / "sys/bus/pci/devices").glob("*")
        if (_read(folder / "vendor"), _read(folder / "device")) == PCI_ID
    }
    if served and not any(module.slot for module in served):
        slots = set()  # this driver doesn't tell which is which
    unserved = sorted(slots - {module.slot for module in served})
    return [*sorted(served, key=lambda module: module.number or 0), *(PciModule(slot) for slot in unserved)]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip().lower()
    except (OSError, UnicodeDecodeError):
        return ""
