"""What a simulated Edge TPU does wrong on command: a small file that the device reads when it is opened and at each run.

The file is JSON: `{"fault": "slow", "factor": 10.0, "until": 1790000000.0}`; `until` is seconds since 1970, or null.
No file, or one whose time is over, is no fault.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

FAULTS = {
    "absent": "it is not there when it is opened; one that is open goes on",
    "unplugged": "the next run fails, and it is not there when it is opened",
    "hung": "the next run never comes back, and it doesn't answer when it is opened",
    "slow": "each run takes FACTOR times as long",
    "wrong": "it answers with wrong numbers",
    "crash": "the next run ends its process, as a native library does that reads where it may not",
    "hot": "its surroundings are at 70 °C: on PCIe its clock goes down",
}
"""What can be commanded, and what it does."""

NONE = "none"
HOT_C = 70.0
FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in force. `factor` is for `slow`. `until`: seconds since 1970 at which it ends; None is when commanded."""

    fault: str
    factor: float = FACTOR
    until: float | None = None

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"there is no fault {self.fault!r}; choose from {', '.join([*FAULTS, NONE])}")
        if self.factor <= 0:
            raise ValueError(f"the factor is {self.factor}; it has to be above 0")


def faults_file(folder: Path, device_name: str) -> Path:
    """Where the faults of that device are commanded. `folder`: that of all simulated devices."""
    return folder / f"{device_name.replace(':', '_')}.json"


def command_fault(path: Path, fault: str, *, for_s: float | None = None, factor: float = FACTOR) -> None:
    """Begins a fault, in place of any other; `none` ends it. Raises ValueError, with the choices, for an unknown one."""
    if fault == NONE:
        path.unlink(missing_ok=True)
        return
    commanded = Fault(fault, factor, None if for_s is None else time.time() + for_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".fault-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(msgspec.json.encode(commanded))
        os.fchmod(handle, 0o644)  # the device may belong to another account than whoever commands
    Path(temporary).replace(path)


def present_fault(path: Path | None) -> Fault | None:
    """The fault in force; None where there is none. Raises ValueError where the file isn't one of ours."""
    if path is None:
        return None
    try:
        commanded = msgspec.json.decode(path.read_bytes(), type=Fault)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} commands no fault: {error}") from error
    return None if commanded.until is not None and time.time() >= commanded.until else commanded
