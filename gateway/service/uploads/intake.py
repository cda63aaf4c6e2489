"""Bytes of one request on their way into one upload: to the disk first, into the count afterwards.

After a crash at any moment the count says no more than what the disk has. Bytes under a checksum count once they have been
checked, and not before; all others every few MiB or seconds, and at the end of the request, whatever ended it.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.uploads.parts import Part, storing
from gateway.service.uploads.ports import UploadStore
from gateway.service.uploads.records import Upload
from gateway.service.uploads.turns import Turn

COUNT_EVERY_S = 2.0
"""On a slow link: what a crash of the gateway makes the caller send again is at most what came in this time."""

Algorithm = Literal["sha1", "sha256"]


class ChecksumMismatch(ServiceError):
    """The bytes are not those that were sent."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.CORRUPT_MEDIA, "the bytes were damaged on their way and are not kept: send them again",
            parameter="Upload-Checksum",
        )


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must come to."""

    algorithm: Algorithm
    digest: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """What one request brings. `size_bytes`: how much that is, where it says so; `offset`: where it belongs."""

    offset: int
    chunks: AsyncIterator[bytes]
    size_bytes: int | None = None
    checksum: Checksum | None = None


class Intake:
    """One request's bytes. `stored`: how many bytes of the upload are safe and counted."""

    def __init__(self, store: UploadStore, part: Part, upload: Upload, piece: Piece, *, flush_bytes: int) -> None:
        self.stored = upload.offset
        self._store = store
        self._part = part
        self._upload = upload
        self._piece = piece
        self._flush_bytes = flush_bytes
        self._received = upload.offset
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._counted_at = time.monotonic()
        # SHA-1 is what tus asks of every server; it is to find damage on the way, not to keep an attacker out.
        self._digest = hashlib.new(piece.checksum.algorithm, usedforsecurity=False) if piece.checksum else None

    async def take(self, turn: Turn) -> Exception | None:
        """Stores what comes until nothing more does. Gives what broke the request off, where something did: what had come by
        then is stored. Raises where it can't be stored, PAYLOAD_TOO_LARGE, and ChecksumMismatch.
        """
        await asyncio.to_thread(self._part.cut, self.stored)
        broken: Exception | None = None
        while True:
            try:
                chunk = await turn.read(self._piece.chunks)
            except Exception as error:
                broken = error
                break
            if chunk is None:
                break
            self._add(chunk)
            if self._is_due:
                await asyncio.to_thread(self._flush)
        await asyncio.to_thread(self._settle, whole=broken is None)
        return broken

    def _add(self, chunk: bytes) -> None:
        if self._received + len(chunk) > self._upload.size_bytes:
            raise too_long(self._upload)
        if self._digest is not None:
            self._digest.update(chunk)
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        self._received += len(chunk)

    @property
    def _is_due(self) -> bool:
        """The last bytes wait for the end of the request: only then is it sure that they are the last."""
        if self._received == self._upload.size_bytes:
            return False
        return self._waiting_bytes >= self._flush_bytes or time.monotonic() - self._counted_at >= COUNT_EVERY_S

    def _flush(self) -> None:
        self._write()
        if self._digest is None:
            self._count()

    def _settle(self, *, whole: bool) -> None:
        if self._digest is None or self._piece.checksum is None:
            self._flush()
            return
        if not whole:
            self._part.cut(self.stored)
            return
        if self._digest.digest() != self._piece.checksum.digest:
            self._part.cut(self.stored)
            raise ChecksumMismatch
        self._write()
        self._count()

    def _write(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._counted_at = time.monotonic()
        try:
            with storing():
                for content in waiting:
                    self._part.write(content)
        except (ServiceError, OSError):
            self._give_back()
            raise

    def _count(self) -> None:
        if self._received == self.stored:
            return
        try:
            with storing():
                self._part.sync()
        except (ServiceError, OSError):
            self._give_back()
            raise
        upload = self._upload
        if not self._store.advance(upload.tenant, upload.id, offset=self.stored, to=self._received):
            raise ServiceError(ErrorCode.CONFLICT, "the upload was ended, or another request went on with it")
        self.stored = self._received

    def _give_back(self) -> None:
        """A full disk needs what doesn't count more than we do."""
        with suppress(OSError):
            self._part.cut(self.stored)


def too_long(upload: Upload) -> ServiceError:
    """What a request is told that brings more than was announced."""
    return ServiceError(
        ErrorCode.PAYLOAD_TOO_LARGE, f"the upload was announced with {upload.size_bytes} bytes, and this is more"
    )
