"""Uploads that come in pieces, over whatever protocol, and end in a job.

The order of things is what makes it safe, whenever the process is killed:

* a new upload: its file, then its row; a file without a row is swept away;
* a piece: bytes to the disk, then the count in the row, and the next one begins where the count stands;
* the end: the file gets a second name, the job is made of that one under a key that belongs to the upload, then the row says
  which job it is, then the file goes. Done again from any point it gives the same job.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domains import registry
from domains.errors import EmptyMedia
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import Caller
from gateway.service.records import new_id
from gateway.service.uploads.intake import Intake, Piece, too_long
from gateway.service.uploads.parts import Parts
from gateway.service.uploads.ports import FileTaker, UploadStore
from gateway.service.uploads.records import Upload, UploadState
from gateway.service.uploads.turns import Turn, Turns, unbroken

SWEEP_BATCH = 500
Clock = Callable[[], datetime]
CheckCallback = Callable[[str], str]
"""Gives a callback's URL as it is kept. Raises ServiceError where results can't go there. May block."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What an upload may ask for. `stall_s`: a request that brings no byte for so long is ended; `flush_bytes`: so many are
    kept in memory before they go to the disk and count.
    """

    max_bytes: int
    expiry: timedelta = timedelta(hours=24)
    stall_s: float = 60.0
    flush_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is to come, and what is to become of it. `key`: the idempotency key of the job."""

    domain: str
    size_bytes: int
    request_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    callback_url: str = ""
    consents: tuple[str, ...] = ()


class UploadService:
    """Use from one event loop. Methods raise ServiceError and DomainError; another tenant's upload is NOT_FOUND."""

    def __init__(
        self, store: UploadStore, parts: Parts, jobs: FileTaker, limits: UploadLimits, check_callback: CheckCallback, *,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.limits = limits
        self._store = store
        self._parts = parts
        self._jobs = jobs
        self._check_callback = check_callback
        self._clock = clock
        self._turns = Turns(limits.stall_s)

    async def create(self, caller: Caller, wanted: NewUpload) -> Upload:
        """A new upload with room for all of it. Raises OVERLOADED or STORAGE_FULL where there is none."""
        registry.check_name(wanted.domain)
        caller.require_analyze(wanted.domain)
        if wanted.size_bytes < 1:
            raise EmptyMedia("an upload has at least one byte")
        if wanted.size_bytes > self.limits.max_bytes:
            raise ServiceError(
                ErrorCode.PAYLOAD_TOO_LARGE, f"the upload is larger than {self.limits.max_bytes} bytes, which is the limit"
            )
        metadata: dict[str, Any] = {"request_id": wanted.request_id}
        if wanted.key:
            metadata["key"] = wanted.key
        if wanted.consents:
            metadata["consents"] = list(wanted.consents)
        if wanted.callback_url:
            metadata["callback_url"] = await asyncio.to_thread(self._check_callback, wanted.callback_url)
        now = self._clock()
        upload = Upload(
            id=new_id(), tenant=caller.tenant, domain=wanted.domain, parameters=wanted.parameters,
            size_bytes=wanted.size_bytes, created_at=now, expires_at=now + self.limits.expiry, metadata=metadata,
        )
        await asyncio.to_thread(self._make, upload)
        return upload

    async def get(self, caller: Caller, upload_id: str) -> Upload:
        """How far it is. A request that still waits for its bytes gives way, and all that it brought is counted. One that has
        all its bytes becomes its job here, where that couldn't be done before.
        """
        await self._find(caller, upload_id)
        await self._turns.free(upload_id)
        with self._turns.take(upload_id) as turn:
            return await unbroken(self._look(caller, upload_id), turn)

    async def append(self, caller: Caller, upload_id: str, piece: Piece) -> Upload:
        """Stores what comes, until it ends. Gives the upload as it is then: with its last byte it is a job.

        What broke the request off is raised after all that had come is stored. Raises CONFLICT where the piece doesn't belong
        where the upload stands, or another request works on it.
        """
        upload = await self._find(caller, upload_id)
        with self._turns.take(upload_id) as turn:
            return await unbroken(self._append(turn, caller, upload, piece), turn)

    async def end(self, caller: Caller, upload_id: str) -> None:
        """Forgets an upload and its bytes. A job that it became lives on."""
        await self._find(caller, upload_id)
        await self._turns.free(upload_id)
        with self._turns.take(upload_id) as turn:
            await unbroken(asyncio.to_thread(self._end, await self._find(caller, upload_id)), turn)

    async def sweep(self) -> int:
        """Removes what is past its time, a batch at a time; gives how many uploads went."""
        return await asyncio.to_thread(self._sweep)

    async def close(self) -> None:
        """Requests that bring bytes end, with all that has come stored."""
        await self._turns.free_all()

    async def _find(self, caller: Caller, upload_id: str) -> Upload:
        upload = await asyncio.to_thread(self._store.get, caller.tenant, upload_id)
        if upload is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no upload of that id")
        caller.require_analyze(upload.domain)
        if upload.state is UploadState.ABORTED or (upload.state is UploadState.OPEN and upload.expires_at <= self._clock()):
            raise ServiceError(ErrorCode.GONE, "the upload was ended or is past its time: begin a new one")
        return upload

    async def _look(self, caller: Caller, upload_id: str) -> Upload:
        upload = await self._find(caller, upload_id)
        is_full = upload.state is UploadState.OPEN and upload.offset == upload.size_bytes
        return await self._finish(caller, upload) if is_full else upload

    async def _append(self, turn: Turn, caller: Caller, upload: Upload, piece: Piece) -> Upload:
        if upload.state is UploadState.COMPLETE:
            _check_fits(upload, piece)
            return upload
        try:
            part = await asyncio.to_thread(self._parts.open, upload)
        except FileNotFoundError:
            upload = await self._finished_elsewhere(caller, upload)
            _check_fits(upload, piece)
            return upload
        with part:
            upload = await self._find(caller, upload.id)
            _check_fits(upload, piece)
            if part.size() < upload.offset:
                raise _bytes_lost()
            intake = Intake(self._store, part, upload, piece, flush_bytes=self.limits.flush_bytes)
            broken = await intake.take(turn)
            upload = replace(upload, offset=intake.stored)
            if upload.offset == upload.size_bytes:
                return await self._finish(caller, upload)
        if broken is not None:
            raise broken
        return upload

    async def _finish(self, caller: Caller, upload: Upload) -> Upload:
        """Makes the job of an upload that has all its bytes."""
        about = upload.metadata
        try:
            path = await asyncio.to_thread(self._parts.hand_over, upload)
        except FileNotFoundError:
            return await self._finished_elsewhere(caller, upload)
        try:
            submission = await self._jobs.submit_file(
                caller, upload.domain, path, upload.parameters, request_id=str(about["request_id"]),
                key=str(about.get("key") or f"upload/{upload.id}"),
                callback={"url": about["callback_url"]} if "callback_url" in about else None,
                consents=tuple(about.get("consents", ())),
            )
        finally:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(path.unlink, missing_ok=True)
        await asyncio.to_thread(self._complete, upload, submission.job.id)
        return replace(upload, state=UploadState.COMPLETE, job_id=submission.job.id)

    async def _finished_elsewhere(self, caller: Caller, upload: Upload) -> Upload:
        """An upload without a file: another process may have made its job meanwhile. Raises GONE where none did."""
        upload = await self._find(caller, upload.id)
        if upload.state is not UploadState.COMPLETE:
            raise _bytes_lost()
        return upload

    def _make(self, upload: Upload) -> None:
        self._parts.make(upload)
        try:
            self._store.create(upload)
        except BaseException:
            self._parts.remove(upload)
            raise

    def _complete(self, upload: Upload, job_id: str) -> None:
        self._store.complete(upload.tenant, upload.id, job_id)
        self._parts.remove(upload)

    def _end(self, upload: Upload) -> None:
        self._store.abort(upload.tenant, upload.id)
        self._parts.remove(upload)
        self._store.remove([upload.id])

    def _sweep(self) -> int:
        now = self._clock()
        over = self._store.expired(now, limit=SWEEP_BATCH)
        for upload in over:
            self._parts.remove(upload)
        if over:
            self._store.remove([upload.id for upload in over])
        orphans = [
            part for part in self._parts.begun_before(now - self.limits.expiry)
            if self._store.get(part.tenant, part.upload_id) is None
        ]
        for part in orphans:
            self._parts.remove_orphan(part.tenant, part.upload_id)
        return len(over) + len(orphans)


def _check_fits(upload: Upload, piece: Piece) -> None:
    if piece.offset != upload.offset:
        raise ServiceError(
            ErrorCode.CONFLICT, f"the upload stands at byte {upload.offset}, not {piece.offset}: go on from there"
        )
    if piece.size_bytes is not None and piece.offset + piece.size_bytes > upload.size_bytes:
        raise too_long(upload)


def _bytes_lost() -> ServiceError:
    return ServiceError(ErrorCode.GONE, "the bytes of the upload are not on this gateway's disk: begin a new one")
