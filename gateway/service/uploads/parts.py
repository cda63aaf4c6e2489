"""The bytes of uploads, in a folder.

    ROOT/clinic/0198c5f2-...-3f.5000000.part      what has come of an upload of 5,000,000 bytes
    ROOT/clinic/0198c5f2-...-3f.0198c600-....job  the same file by another name, for the moment of its handing over

A file's name says its size in full, so the folder alone tells what has been promised to whom, after a crash too. How much of
a file counts is not said here but in its row: bytes beyond that are of a request that was killed, and are cut off before the
next one writes. Folders are open to their owner only (0700), and so are files (0600).
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from edge_runtime.folders import make_private_folder, sync_folder
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.records import new_id
from gateway.service.uploads.records import Upload
from gateway.service.uploads.turns import UploadLocked

RETRY_AFTER_S = 60.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as the folder tells of it."""

    tenant: str
    upload_id: str
    size_bytes: int
    """What it is to hold."""
    held_bytes: int
    """What it holds."""


class Part:
    """The file of one upload, for one writer at a time, in whatever process. Every method blocks."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError where it isn't there, UploadLocked where another process writes to it."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise UploadLocked from None

    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self._descriptor).st_size

    def cut(self, size: int) -> None:
        """Drops what lies behind so many bytes; what is written next follows them."""
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)

    def write(self, content: bytes) -> None:
        """Raises OSError where the disk doesn't take it; a part of it may be written then."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._descriptor, rest):]

    def sync(self) -> None:
        """When it returns, what was written survives a loss of power."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Lets the next writer in."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Parts:
    """All files of uploads. `most_bytes`: what all open uploads may come to in full; `most_of_tenant`: how many one tenant
    may have open.
    """

    def __init__(self, root: Path, *, most_bytes: int, most_of_tenant: int) -> None:
        """Makes the folder where it is missing."""
        self._root = root.absolute()
        self._most_bytes = most_bytes
        self._most_of_tenant = most_of_tenant
        make_private_folder(self._root)

    def make(self, upload: Upload) -> None:
        """An empty file for a new upload, with room for all of it put aside. Raises OVERLOADED where the tenant has too many
        open, STORAGE_FULL where the budget or the disk hasn't so much left.
        """
        with storing(), self._accounts():
            self._check_room(upload)
            path = self._path(upload)
            make_private_folder(path.parent)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            sync_folder(path.parent)

    def open(self, upload: Upload) -> Part:
        """The file, for its only writer. Raises FileNotFoundError, UploadLocked."""
        return Part(self._path(upload))

    def hand_over(self, upload: Upload) -> Path:
        """A second name for the file, for whoever takes it over. The first one stays until `remove`, so that a crash in
        between loses nothing: the handing over is done again.
        """
        path = self._path(upload)
        second = path.with_name(f"{upload.id}.{new_id()}.job")
        os.link(path, second)
        return second

    def remove(self, upload: Upload) -> None:
        """Removes an upload's file, under each of its names. Nothing happens where it is gone."""
        self.remove_orphan(upload.tenant, upload.id)

    def remove_orphan(self, tenant: str, upload_id: str) -> None:
        """The same for one of which nothing else is known."""
        folder = self._root / tenant
        for path in folder.glob(f"{upload_id}.*"):
            path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            sync_folder(folder)

    def stored(self) -> Iterator[Stored]:
        """Every upload that has a file."""
        for path in self._root.glob("*/*.part"):
            upload_id, size, _ = path.name.split(".")
            with suppress(FileNotFoundError):
                yield Stored(path.parent.name, upload_id, int(size), path.stat().st_size)

    def begun_before(self, moment: datetime) -> Iterator[Stored]:
        """Those that were begun before that time, by their ids."""
        bound = int(moment.timestamp() * 1000)
        return (stored for stored in self.stored() if UUID(stored.upload_id).int >> 80 < bound)

    def _path(self, upload: Upload) -> Path:
        return self._root / upload.tenant / f"{upload.id}.{upload.size_bytes}.part"

    def _check_room(self, upload: Upload) -> None:
        stored = list(self.stored())
        own = sum(one.tenant == upload.tenant for one in stored)
        if own >= self._most_of_tenant:
            raise ServiceError(
                ErrorCode.OVERLOADED, f"{own} uploads are open, which is the limit: finish or end one", retry_after_s=RETRY_AFTER_S
            )
        if sum(one.size_bytes for one in stored) + upload.size_bytes > self._most_bytes:
            raise ServiceError(
                ErrorCode.STORAGE_FULL, f"open uploads take all of the {self._most_bytes} bytes that there are for them",
                retry_after_s=RETRY_AFTER_S,
            )
        to_come = sum(one.size_bytes - one.held_bytes for one in stored)
        if to_come + upload.size_bytes > shutil.disk_usage(self._root).free:
            raise storage_full()

    @contextmanager
    def _accounts(self) -> Iterator[None]:
        """One at a time counts what is promised and promises more, in whatever process."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def storing() -> Iterator[None]:
    """Around what writes to the disk: a full one is told as STORAGE_FULL."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_full() from error
        raise


def storage_full() -> ServiceError:
    """What callers of a gateway without disk space are told."""
    return ServiceError(
        ErrorCode.STORAGE_FULL, "the gateway's disk is full: go on later", retry_after_s=RETRY_AFTER_S
    )
