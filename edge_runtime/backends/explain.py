"""Why an Edge TPU can't be used, and what helps: from how the probe ended and what the kernel shows.

libedgetpu gives no reason itself: without a device, without permission and with one that another program holds,
`load_delegate` raises the same ValueError with an empty cause (google-coral/tflite#63, tensorflow#35054).
"""

import os
import signal
from pathlib import Path

from edge_runtime import devices
from edge_runtime.backends.probe import Outcome
from edge_runtime.errors import DeviceFault, FaultKind

RULES = "deploy/99-hedgerow-edgetpu.rules"
PAGE = "docs/install-coral.md"

_STEPS = {
    "interpreter": "the interpreter was imported", "library": "it was loaded", "model": "it was given a model",
    "run": "it ran a model", "done": "it ended",
}


def explain(outcome: Outcome, library: str, address: str, root: Path = Path("/")) -> DeviceFault:
    """The fault, in a sentence that says what to do. `root`: where sys and dev are."""
    if outcome.late:
        return DeviceFault(
            f"{_device(address)} did not answer when {_STEPS[outcome.step]}: unplug it or cut its power for a moment",
            kind=FaultKind.HUNG,
        )
    if outcome.signal:
        return _crashed(outcome, library, address)
    if outcome.step == "interpreter":
        return DeviceFault(f"the TFLite interpreter can't be imported: {outcome.message}", kind=FaultKind.LIBRARY_MISSING)
    if outcome.error == "OSError":
        return _not_loaded(outcome, library)
    if outcome.error == "ValueError" and "Failed to load delegate" in outcome.message:
        return _not_opened(address, root)
    return _not_run(outcome, library, address)


def _crashed(outcome: Outcome, library: str, address: str) -> DeviceFault:
    """Where a USB transfer fails, libedgetpu ends the process and says so (google-coral/edgetpu#494, #715)."""
    how = f"{library} ended its process ({signal.Signals(outcome.signal).name}) when {_STEPS[outcome.step]}"
    if "USB transfer" in outcome.said or "driver/usb/" in outcome.said:
        return DeviceFault(
            f"{_device(address)} was lost: {how}: {outcome.said}. Unplugged, a bad cable, or too little power",
            kind=FaultKind.LOST,
        )
    said = f": {outcome.said}" if outcome.said else ""
    return DeviceFault(
        f"{how}{said}. It does not fit {_runtime(outcome)}: Google's own 16.0 of 2021 goes with interpreters up to 2.11, newer "
        f"ones need a rebuilt library; {PAGE} says which", kind=FaultKind.LIBRARY_UNFIT,
    )


def _not_loaded(outcome: Outcome, library: str) -> DeviceFault:
    """The dynamic linker's words, such as `libusb-1.0.so.0: cannot open shared object file: No such file or directory`."""
    missing, absent, _ = outcome.message.partition(": cannot open shared object file: No such file")
    if not absent:
        return DeviceFault(f"{library} can't be loaded here ({outcome.message}): {PAGE}", kind=FaultKind.LIBRARY_UNFIT)
    needs = "" if missing == library else f", which {library} needs,"
    return DeviceFault(
        f"{missing}{needs} is not installed: install the Debian package libedgetpu1-std with what it depends on, in the "
        f"version that {PAGE} names", kind=FaultKind.LIBRARY_MISSING,
    )


def _not_run(outcome: Outcome, library: str, address: str) -> DeviceFault:
    if outcome.step == "run" and "unresolved custom op" not in outcome.message:
        return DeviceFault(
            f"a run on {_device(address)} failed ({outcome.message}): unplugged, reset, or short of power", kind=FaultKind.LOST
        )
    what = "is no TFLite delegate" if outcome.error == "AttributeError" else f"does not work with {_runtime(outcome)}"
    return DeviceFault(
        f"{library} {what} ({outcome.message}): {PAGE} says which versions go together", kind=FaultKind.LIBRARY_UNFIT
    )


def _not_opened(address: str, root: Path) -> DeviceFault:
    device = devices.attached(address, root)
    if device is None:
        return DeviceFault(
            f"{_device(address)} is not attached: try another port, cable or hub; lsusb shows a USB Accelerator as 1a6e:089a or "
            "18d1:9302, lspci a module as 1ac1:089a", kind=FaultKind.ABSENT,
        )
    if device.node is None:
        return DeviceFault(
            f"{_device(address)} is on the PCIe bus ({device.slot}) without a driver: install gasket-dkms and load the module "
            f"apex, see {PAGE}", kind=FaultKind.ABSENT,
        )
    if not os.access(device.node, os.R_OK | os.W_OK):
        return DeviceFault(
            f"this account may not open /{device.node.relative_to(root)}: install {RULES} as /etc/udev/rules.d/"
            f"{Path(RULES).name}, put the account into the group that it names, and plug the device in again (in a container: "
            "pass the device and its group)", kind=FaultKind.NO_PERMISSION,
        )
    return DeviceFault(
        f"{_device(address)} is attached (/{device.node.relative_to(root)}), but can't be opened: another program holds it, or it "
        "is short of power; end the other program, or plug it in again", kind=FaultKind.LOST,
    )


def _device(address: str) -> str:
    return f"the Edge TPU {address}" if address else "the Edge TPU"


def _runtime(outcome: Outcome) -> str:
    return outcome.runtime or "this interpreter"
