"""The `edgetpu` backend with a library that has no chip (libedgetpu.c), on the real interpreter."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest

from edge_runtime.backends.edgetpu import EdgeTpuBackend

SOURCE = Path(__file__).with_name("libedgetpu.c")


@functools.cache
def fake_library() -> str:
    """The library, compiled once. Skips the test, by name, where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the fake libedgetpu can't be built")
    library = Path(tempfile.mkdtemp(prefix="fake-edgetpu-")) / "libedgetpu.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)], check=True)
    return str(library)


def backend_with(library: str, root: Path) -> type[EdgeTpuBackend]:
    """The backend with that library, and with sys and dev in `root`."""
    class Tested(EdgeTpuBackend):
        """The real backend; only where it looks is another."""

        library: ClassVar[str]
        root: ClassVar[Path]

    Tested.library, Tested.root = library, root
    return Tested


def attach_usb(root: Path, port: str = "2-1", *, initialised: bool = True, number: int = 7) -> Path:
    """A USB Accelerator as the kernel shows it, below `root`; gives its device file."""
    vendor, product = ("18d1", "9302") if initialised else ("1a6e", "089a")
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True)
    for name, value in (("idVendor", vendor), ("idProduct", product), ("busnum", "2"), ("devnum", str(number))):
        (folder / name).write_text(f"{value}\n")
    node = root / f"dev/bus/usb/002/{number:03}"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    return node


def attach_pci(root: Path, number: int | None = 0, *, slot: str = "0000:02:00.0", temperature: str = "45300") -> None:
    """A PCIe module as the kernel shows it, below `root`; without a number it has no driver."""
    folder = root / "sys/bus/pci/devices" / slot
    folder.mkdir(parents=True)
    (folder / "vendor").write_text("0x1ac1\n")
    (folder / "device").write_text("0x089a\n")
    if number is None:
        return
    told = root / f"sys/class/apex/apex_{number}"
    told.mkdir(parents=True)
    (told / "pci_address").write_text(f"{slot}\n")
    (told / "temp").write_text(f"{temperature}\n")
    (root / "dev").mkdir(exist_ok=True)
    (root / f"dev/apex_{number}").touch()
