"""Backends by name: one file each, imported only when chosen."""

from importlib import import_module
from pathlib import Path

from edge_runtime.backends.base import Backend, Session
from edge_runtime.devices import CPU_VARIANTS

__all__ = ["VARIANTS", "Backend", "Session", "load_backend"]

VARIANTS: dict[str, tuple[str, ...]] = {
    "litert": CPU_VARIANTS,
    "edgetpu": ("int8_edgetpu",),
    "simulated": ("int8",),
}
"""Which variants of a model each backend runs, best first unless a device's name says otherwise; known without importing any of them."""


def load_backend(name: str, address: str = "", *, faults_file: Path | None = None) -> Backend:
    """The backend of that name, opened at `address`.

    Raises ValueError, listing the choices, for any other name; DeviceFault where the device can't be used.
    """
    if name not in VARIANTS:
        raise ValueError(f"unknown backend {name!r}; choose from {', '.join(VARIANTS)}")
    backend: Backend = import_module(f"edge_runtime.backends.{name}").BACKEND(address, faults_file=faults_file)
    return backend
