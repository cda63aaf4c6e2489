"""Regions of system shared memory, in which callers on this machine leave inputs and find outputs.

A caller names the memory's file, so this is off unless the operator names a prefix that all such names must have: else a
caller could have this program read or write what other programs keep there. Files are read and written, not mapped: one
that its owner cuts short would end the process that has it mapped.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import Content, invalid

FOLDER = Path("/dev/shm")  # noqa: S108 - POSIX shared memory on Linux, shm_open(3)
MOST_REGIONS = 64
"""Of one tenant."""


@dataclass(frozen=True, slots=True)
class Region:
    """`key`: the memory's name; `offset` and `byte_size`: the part of it that is meant."""

    name: str
    key: str
    offset: int
    byte_size: int

    @property
    def document(self) -> dict[str, Any]:
        """As the protocol tells it."""
        return {"name": self.name, "key": self.key, "offset": self.offset, "byte_size": self.byte_size}


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor's part of a region."""

    region: Region
    offset: int
    byte_size: int


class SharedMemory:
    """Regions by tenant: nobody sees or uses another's. `prefix`: what names must begin with; empty: none is taken."""

    def __init__(self, prefix: str, folder: Path = FOLDER) -> None:
        self._prefix = prefix
        self._folder = folder
        self._regions: dict[tuple[str, str], Region] = {}

    @property
    def on(self) -> bool:
        """Whether regions can be registered."""
        return bool(self._prefix)

    def register(self, tenant: str, region: Region) -> None:
        """Raises INVALID_ARGUMENT for memory that isn't there, is too small, or may not be used; CONFLICT."""
        if not self._prefix:
            raise ServiceError(ErrorCode.METHOD_NOT_ALLOWED, "shared memory is off here: HEDGEROW_SHARED_MEMORY_PREFIX turns it on")
        if (tenant, region.name) in self._regions:
            raise ServiceError(ErrorCode.CONFLICT, f"a region {region.name!r} is registered already", parameter="name")
        if any(whose != tenant and other.key == region.key for (whose, _), other in self._regions.items()):
            raise ServiceError(ErrorCode.CONFLICT, "that memory is in use by another tenant", parameter="key")
        if sum(whose == tenant for whose, _ in self._regions) >= MOST_REGIONS:
            raise invalid(f"at most {MOST_REGIONS} regions may be registered", "name")
        if not region.name or region.offset < 0 or region.byte_size < 1:
            raise invalid("a region has a name, a size, and an offset that isn't negative")
        descriptor = self._open(region)
        os.close(descriptor)
        self._regions[tenant, region.name] = region

    def unregister(self, tenant: str, name: str) -> None:
        """Forgets a region, or all of the tenant's where `name` is empty. One that isn't there is no error."""
        for whose, known in list(self._regions):
            if whose == tenant and name in {"", known}:
                del self._regions[whose, known]

    def status(self, tenant: str, name: str) -> list[Region]:
        """The tenant's regions, or that one. Raises NOT_FOUND."""
        found = [region for (whose, _), region in self._regions.items() if whose == tenant and name in {"", region.name}]
        if name and not found:
            raise ServiceError(ErrorCode.NOT_FOUND, "no region of that name is registered", parameter="name")
        return found

    def place(self, tenant: str, tensor: str, parameters: Mapping[str, Any]) -> Place | None:
        """Where a tensor lies, by its parameters; None where they name no region. Raises INVALID_ARGUMENT."""
        if "shared_memory_region" not in parameters:
            return None
        region = self._regions.get((tenant, str(parameters["shared_memory_region"])))
        if region is None:
            raise invalid(f"{tensor!r} lies in a region that isn't registered", "shared_memory_region")
        size, offset = parameters.get("shared_memory_byte_size"), parameters.get("shared_memory_offset", 0)
        if type(size) is not int or type(offset) is not int or min(size, offset) < 0 or offset + size > region.byte_size:
            raise invalid(f"{tensor!r} lies outside the region {region.name!r}", "shared_memory_byte_size")
        return Place(region, offset, size)

    def read(self, place: Place) -> bytes:
        """The bytes there. Raises INVALID_ARGUMENT where the memory is gone or was cut short."""
        descriptor = self._open(place.region)
        try:
            content = os.pread(descriptor, place.byte_size, place.region.offset + place.offset)
        finally:
            os.close(descriptor)
        if len(content) < place.byte_size:
            raise _gone(place.region)
        return content

    def write(self, place: Place, tensor: str, content: Content) -> None:
        """Puts bytes there. Raises INVALID_ARGUMENT where they don't fit, or as `read`."""
        if len(content) > place.byte_size:
            raise invalid(f"output {tensor!r} has {len(content)} bytes, {place.byte_size} were set aside for it", tensor)
        descriptor = self._open(place.region)
        try:
            os.pwrite(descriptor, content, place.region.offset + place.offset)
        finally:
            os.close(descriptor)

    def _open(self, region: Region) -> int:
        """A plain file right in the folder, of the caller's making, and of the size that is needed."""
        name = region.key.removeprefix("/")
        if "/" in name or "\0" in name or not name.startswith(self._prefix):
            raise invalid(f"shared memory is taken only where its name begins with {self._prefix!r}", "key")
        try:
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise _gone(region) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size < region.offset + region.byte_size:
            os.close(descriptor)
            raise _gone(region)
        return descriptor


def _gone(region: Region) -> ServiceError:
    return invalid(f"the memory of the region {region.name!r} isn't there, can't be opened, or is smaller than the region", "key")
