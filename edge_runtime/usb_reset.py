"""Resets a USB Accelerator that hangs, as far as this account may: what users otherwise do by unplugging it
(google-coral/edgetpu#766, #252). No other process may be using the device.
"""

import fcntl
import os
from pathlib import Path

from edge_runtime import devices

USBDEVFS_RESET = 0x5514
"""_IO('U', 20) of linux/usbdevice_fs.h: the port resets the device, which keeps its number or comes back with another."""


def reset_usb(address: str, root: Path = Path("/")) -> str:
    """Resets the device at an address in libedgetpu's words, and gives in a sentence what was tried and what came of it.

    The reset of usbfs needs no more than what opening the device needs; switching the port off and on in sysfs
    (`authorized`) is root's. A device on PCIe is reset by its driver when it is opened (apex_driver.c, apex_reset).
    """
    device = devices.attached(address, root)
    if device is None:
        return "not reset: it is not attached"
    if isinstance(device, devices.PciModule):
        return "not reset: on PCIe the driver does so when the device is opened"
    try:
        _reset(device.node)
    except OSError as error:
        tried = f"its reset by usbfs failed ({error.strerror})"
    else:
        return f"reset by usbfs (port {device.port})"
    switch = root / "sys/bus/usb/devices" / device.port / "authorized"
    try:
        switch.write_text("0", encoding="ascii")
        switch.write_text("1", encoding="ascii")
    except OSError as error:
        return f"not reset: {tried}, and so did switching its port off and on ({error.strerror})"
    return f"{tried}; its port was switched off and on (port {device.port})"


def _reset(node: Path) -> None:
    handle = os.open(node, os.O_WRONLY)
    try:
        fcntl.ioctl(handle, USBDEVFS_RESET, 0)
    finally:
        os.close(handle)
