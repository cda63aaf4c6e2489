"""However a file is cut into pieces, and whatever breaks in between: what comes out is the file, once."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.uploads.intake import Checksum, Piece
from gateway.service.uploads.records import Upload, UploadState
from gateway.service.uploads.service import UploadLimits, UploadService
from gateway.store.database import Database
from tests.gateway.service.upload_setting import (
    CLINIC,
    CUT,
    CrashingStore,
    NarrowPart,
    NarrowParts,
    Setting,
    bytes_of,
    wanted,
)
from tests.upload_gateway import database_in

EXPECTED = {
    ErrorCode.CONFLICT, ErrorCode.CANCELLED, ErrorCode.CORRUPT_MEDIA, ErrorCode.STORAGE_FULL, ErrorCode.PAYLOAD_TOO_LARGE,
}


@dataclass(frozen=True)
class Attempt:
    """One request, and what happens to it. `shift`: how far it misses the place where the upload stands."""

    length: int
    step: int
    shift: int
    fate: str
    checksum: str
    restart: bool
    tail: bytes


ATTEMPTS = st.lists(st.builds(
    Attempt,
    length=st.integers(0, 3000), step=st.integers(1, 900), shift=st.sampled_from([0, 0, 0, 0, -1, 1, -500, 3000]),
    fate=st.sampled_from(["whole", "whole", "cut", "before the count", "after the count", "before the end", "full disk"]),
    checksum=st.sampled_from(["", "", "right", "wrong"]), restart=st.booleans(), tail=st.binary(max_size=40),
), max_size=12)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as folder, database_in(Path(folder)) as opened:
        yield opened


@settings(max_examples=80, deadline=None)
@given(content=st.binary(min_size=1, max_size=6000), flush_bytes=st.integers(1, 2000), attempts=ATTEMPTS)
def test_however_a_file_comes_in_pieces_it_comes_out_whole_and_once(
    database: Database, content: bytes, flush_bytes: int, attempts: list[Attempt]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(send(Sender(Path(folder), database, content, flush_bytes), attempts))


class Sender:
    """A caller with a file, and the gateway that it is sent to."""

    def __init__(self, folder: Path, database: Database, content: bytes, flush_bytes: int) -> None:
        self.setting = Setting(folder, database)
        self.store = CrashingStore(database)
        self.content = content
        self._limits = UploadLimits(10_000, flush_bytes=flush_bytes)
        self.service = self.restarted()

    def restarted(self) -> UploadService:
        parts = NarrowParts(self.setting.folder / "uploads", most_bytes=2**40, most_of_tenant=8)
        return self.setting.again(parts=parts, limits=self._limits, store=self.store)

    def piece(self, attempt: Attempt, stands: int) -> Piece:
        offset = max(0, stands + attempt.shift)
        content = self.content[offset:offset + attempt.length]
        digest = hashlib.sha256(content if attempt.checksum == "right" else b"other").digest()
        return Piece(
            offset, bytes_of(content, step=attempt.step, then=CUT if attempt.fate == "cut" else None), None,
            Checksum("sha256", digest) if attempt.checksum else None,
        )


async def send(sender: Sender, attempts: list[Attempt]) -> None:
    NarrowPart.room = 2**40
    made = await sender.service.create(CLINIC, wanted(len(sender.content)))
    stands = 0
    for attempt in attempts:
        if attempt.restart:
            sender.service = sender.restarted()
            for path in sender.setting.files():
                path.write_bytes(path.read_bytes() + attempt.tail)
        sender.store.crash = attempt.fate
        NarrowPart.room = 400 if attempt.fate == "full disk" else 2**40
        piece = sender.piece(attempt, stands)
        (answer,) = await asyncio.gather(sender.service.append(CLINIC, made.id, piece), return_exceptions=True)
        if isinstance(answer, Upload):
            assert piece.offset == stands
            assert attempt.checksum != "wrong" or answer.state is UploadState.COMPLETE
        else:
            assert (isinstance(answer, ServiceError) and answer.code in EXPECTED) or str(answer) == attempt.fate
        sender.store.crash, NarrowPart.room = "", 2**40
        found = await sender.service.get(CLINIC, made.id)
        assert stands <= found.offset <= len(sender.content)
        stands = found.offset
    if stands < len(sender.content):
        await sender.service.append(CLINIC, made.id, Piece(stands, bytes_of(sender.content[stands:])))
    found = await sender.service.get(CLINIC, made.id)
    assert found.state is UploadState.COMPLETE
    (taken,) = sender.setting.jobs.taken
    assert hashlib.sha256(taken.content).digest() == hashlib.sha256(sender.content).digest()
    assert sender.setting.files() == []
