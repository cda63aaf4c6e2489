"""What tests of uploads start from: a service over a real store and folder, callers, pieces, and things that break."""

import asyncio
import errno
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ANALYZE_ALL, READ, Caller
from gateway.service.uploads.intake import Checksum, Piece
from gateway.service.uploads.parts import Part, Parts
from gateway.service.uploads.records import Upload
from gateway.service.uploads.service import NewUpload, UploadLimits, UploadService
from gateway.store.database import Database
from gateway.store.uploads import SqlUploadStore
from tests.upload_gateway import WrittenJobs, https_only

CLINIC = Caller("key", "clinic", frozenset({ANALYZE_ALL}))
FARM = Caller("key", "farm", frozenset({ANALYZE_ALL}))
READER = Caller("key", "clinic", frozenset({READ}))
LIMITS = UploadLimits(1_000_000, stall_s=10.0, flush_bytes=1000)
CONTENT = bytes(range(256)) * 40
CUT = ServiceError(ErrorCode.CANCELLED, "the connection broke")


class Setting:
    """A service over a folder; `again` is one that was started anew over the same."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.store = SqlUploadStore(database)
        self.jobs = WrittenJobs(folder / "jobs")
        self.now = datetime.now(UTC)
        self.service = self.again()

    def again(
        self, *, parts: Parts | None = None, limits: UploadLimits = LIMITS, store: SqlUploadStore | None = None
    ) -> UploadService:
        """One more service on the same folder and store."""
        return UploadService(
            store or self.store, parts or self.parts(), self.jobs, limits, https_only, clock=lambda: self.now
        )

    def parts(self, *, most_bytes: int = 10_000_000, most_of_tenant: int = 8) -> Parts:
        """The folder of bytes."""
        return Parts(self.folder / "uploads", most_bytes=most_bytes, most_of_tenant=most_of_tenant)

    def files(self) -> list[Path]:
        """All files of uploads."""
        return [path for path in (self.folder / "uploads").rglob("*") if path.is_file()]


class CrashingStore(SqlUploadStore):
    """Whose next change is its last: `crash` says which, and whether it is still made."""

    crash = ""

    def advance(self, tenant: str, upload_id: str, *, offset: int, to: int) -> bool:
        crash, self.crash = self.crash, ""
        if crash == "before the count":
            raise RuntimeError(crash)
        moved = super().advance(tenant, upload_id, offset=offset, to=to)
        if crash == "after the count":
            raise RuntimeError(crash)
        self.crash = crash
        return moved

    def complete(self, tenant: str, upload_id: str, job_id: str) -> bool:
        if self.crash == "before the end":
            self.crash = ""
            raise RuntimeError("before the end")
        return super().complete(tenant, upload_id, job_id)


class NarrowPart(Part):
    """A file on a disk with little room: `room` bytes are left."""

    room = 0

    def write(self, content: bytes) -> None:
        taken = content[:NarrowPart.room]
        super().write(taken)
        NarrowPart.room -= len(taken)
        if len(taken) < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")


class NarrowParts(Parts):
    """A folder on such a disk."""

    def open(self, upload: Upload) -> Part:
        return NarrowPart(self._path(upload))


def wanted(size_bytes: int = len(CONTENT), **more: Any) -> NewUpload:
    """An upload of a scan."""
    return NewUpload("pathology", size_bytes, "visit-1", **more)


async def bytes_of(content: bytes, *, step: int = 700, then: Exception | None = None) -> AsyncIterator[bytes]:
    """A body in chunks of `step` bytes, which may break at its end."""
    for start in range(0, len(content), step):
        await asyncio.sleep(0)
        yield content[start:start + step]
    if then is not None:
        raise then


def piece(offset: int, content: bytes, *, then: Exception | None = None, checksum: Checksum | None = None) -> Piece:
    """A request with these bytes; one that breaks had more to bring."""
    return Piece(offset, bytes_of(content, then=then), None if then else len(content), checksum)


async def hanging(content: bytes) -> AsyncIterator[bytes]:
    """A connection that brought so much, and nothing since."""
    yield content
    await asyncio.sleep(60)


async def refused(work: Any) -> ServiceError:
    """The error that it ends with."""
    with pytest.raises(ServiceError) as caught:
        await work
    return caught.value
