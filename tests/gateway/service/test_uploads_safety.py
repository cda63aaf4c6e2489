"""Uploads in pieces: crashes, full disks, limits, and what is past its time; over a real store and a real folder."""

import asyncio
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.uploads.parts import Part, Parts
from gateway.service.uploads.records import Upload, UploadState
from gateway.service.uploads.service import UploadLimits
from gateway.store.uploads import SqlUploadStore
from tests.gateway.service.upload_setting import (
    CLINIC,
    CONTENT,
    CrashingStore,
    NarrowPart,
    NarrowParts,
    Setting,
    piece,
    refused,
    wanted,
)
from tests.upload_gateway import WrittenJobs, database_in


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with database_in(tmp_path) as database:
        yield Setting(tmp_path, database)


def test_bytes_on_disk_that_were_never_counted_are_not_part_of_the_file(setting: Setting) -> None:
    async def test() -> None:
        made = await setting.service.create(CLINIC, wanted())
        await setting.service.append(CLINIC, made.id, piece(0, CONTENT[:1000]))
        (path,) = setting.files()
        with path.open("ab") as file:
            file.write(b"a request that was killed" * 1000)
        service = setting.again()
        assert (await service.get(CLINIC, made.id)).offset == 1000
        await service.append(CLINIC, made.id, piece(1000, CONTENT[1000:]))
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


def test_an_upload_whose_bytes_the_disk_lost_is_gone_and_never_becomes_a_job(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        short, missing = await service.create(CLINIC, wanted()), await service.create(CLINIC, wanted())
        for made in (short, missing):
            await service.append(CLINIC, made.id, piece(0, CONTENT[:1000]))
        for path in setting.files():
            if short.id in path.name:
                os.truncate(path, 500)
            else:
                path.unlink()
        for made in (short, missing):
            error = await refused(service.append(CLINIC, made.id, piece(1000, CONTENT[1000:])))
            assert error.code is ErrorCode.GONE
        assert setting.jobs.taken == []

    asyncio.run(test())


class NotedPart(Part):
    """Whose `steps` say what was done, in order."""

    steps: ClassVar[list[str]] = []

    def write(self, content: bytes) -> None:
        NotedPart.steps.append("written")
        super().write(content)

    def sync(self) -> None:
        super().sync()
        NotedPart.steps.append("synced")


class NotedStore(SqlUploadStore):
    """The same of the count."""

    def advance(self, tenant: str, upload_id: str, *, offset: int, to: int) -> bool:
        NotedPart.steps.append("counted")
        return super().advance(tenant, upload_id, offset=offset, to=to)


class NotedParts(Parts):
    """A folder of such files."""

    def open(self, upload: Upload) -> Part:
        return NotedPart(self._path(upload))


def test_bytes_are_on_the_disk_before_they_count(tmp_path: Path) -> None:
    async def test(setting: Setting, store: NotedStore) -> None:
        parts = NotedParts(setting.folder / "uploads", most_bytes=10_000_000, most_of_tenant=8)
        service = setting.again(parts=parts, store=store)
        made = await service.create(CLINIC, wanted())
        await service.append(CLINIC, made.id, piece(0, CONTENT))
        rounds = re.findall("(written )+synced counted ", " ".join([*NotedPart.steps, ""]))
        assert NotedPart.steps.count("counted") == len(rounds) > 3
        assert setting.jobs.taken[0].content == CONTENT

    with database_in(tmp_path) as database:
        asyncio.run(test(Setting(tmp_path, database), NotedStore(database)))


def test_a_crash_after_the_job_was_made_gives_no_second_job(tmp_path: Path) -> None:
    async def test(setting: Setting, store: CrashingStore) -> None:
        service = setting.again(store=store)
        made = await service.create(CLINIC, wanted())
        store.crash = "before the end"
        with pytest.raises(RuntimeError):
            await service.append(CLINIC, made.id, piece(0, CONTENT))
        found = await setting.again().get(CLINIC, made.id)
        assert found.state is UploadState.COMPLETE
        assert [(taken.job.id, taken.content) for taken in setting.jobs.taken] == [(found.job_id, CONTENT)]
        assert setting.files() == []

    with database_in(tmp_path) as database:
        asyncio.run(test(Setting(tmp_path, database), CrashingStore(database)))


def test_an_upload_that_could_not_become_a_job_does_when_it_is_asked_for_again(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        full = ServiceError(ErrorCode.OVERLOADED, "no room for a job", retry_after_s=5)
        setting.jobs.refuses = full
        assert await refused(service.append(CLINIC, made.id, piece(0, CONTENT))) is full
        setting.jobs.refuses = full
        assert await refused(service.get(CLINIC, made.id)) is full
        assert (await service.get(CLINIC, made.id)).job_id == setting.jobs.taken[0].job.id
        assert setting.jobs.taken[0].content == CONTENT
        assert setting.files() == []

    asyncio.run(test())


def test_the_same_file_twice_under_one_key_is_one_job_and_another_file_is_refused(setting: Setting) -> None:
    async def test() -> None:
        service, jobs = setting.service, []
        for content in (CONTENT, CONTENT, CONTENT[::-1]):
            made = await service.create(CLINIC, wanted(key="photo 7"))
            try:
                jobs.append((await service.append(CLINIC, made.id, piece(0, content))).job_id)
            except ServiceError as error:
                jobs.append(error.code)
        assert jobs == [jobs[0], jobs[0], ErrorCode.IDEMPOTENCY_KEY_REUSED]
        assert len(setting.jobs.taken) == 1

    asyncio.run(test())


def test_on_a_full_disk_the_caller_is_told_and_goes_on_once_there_is_room(setting: Setting) -> None:
    async def test() -> None:
        service = setting.again(parts=NarrowParts(setting.folder / "uploads", most_bytes=10_000_000, most_of_tenant=8))
        made = await service.create(CLINIC, wanted())
        NarrowPart.room = 4000
        error = await refused(service.append(CLINIC, made.id, piece(0, CONTENT)))
        assert error.code is ErrorCode.STORAGE_FULL
        assert error.retry_after_s
        stands = (await service.get(CLINIC, made.id)).offset
        assert 2000 <= stands <= 4000
        (path,) = setting.files()
        assert path.stat().st_size == stands, "what doesn't count leaves a full disk"
        NarrowPart.room = 1_000_000
        await service.append(CLINIC, made.id, piece(stands, CONTENT[stands:]))
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_on_a_small_real_disk_uploads_are_refused_in_words_and_go_on_when_there_is_room(
    setting: Setting
) -> None:
    disk = setting.folder / "uploads"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small disk can't be mounted here")

    async def test() -> None:
        setting.jobs = WrittenJobs(disk / "jobs")
        service = setting.again()
        assert (await refused(setting.again(limits=UploadLimits(2**40)).create(CLINIC, wanted(2_000_000)))).code is (
            ErrorCode.STORAGE_FULL
        )
        content = os.urandom(700_000)
        made = await service.create(CLINIC, wanted(len(content)))
        assert (await refused(service.create(CLINIC, wanted(500_000)))).code is ErrorCode.STORAGE_FULL, "room is promised"
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(800_000))
        error = await refused(service.append(CLINIC, made.id, piece(0, content)))
        assert error.code is ErrorCode.STORAGE_FULL
        ballast.unlink()
        stands = (await service.get(CLINIC, made.id)).offset
        assert 0 < stands < len(content)
        await service.append(CLINIC, made.id, piece(stands, content[stands:]))
        assert setting.jobs.taken[0].content == content

    try:
        asyncio.run(test())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_is_past_its_time_is_refused_and_then_swept_away(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        old = await service.create(CLINIC, wanted())
        done = await service.create(CLINIC, wanted())
        await service.append(CLINIC, old.id, piece(0, CONTENT[:1000]))
        await service.append(CLINIC, done.id, piece(0, CONTENT))
        assert await service.sweep() == 0
        setting.now += timedelta(hours=12)
        young = await service.create(CLINIC, wanted())
        setting.now += timedelta(hours=12, seconds=1)
        assert (await refused(service.append(CLINIC, old.id, piece(1000, CONTENT[1000:])))).code is ErrorCode.GONE
        assert await service.sweep() == 2
        assert (await refused(service.get(CLINIC, old.id))).code is ErrorCode.NOT_FOUND
        assert [path.name.split(".")[0] for path in setting.files()] == [young.id]
        assert setting.jobs.taken[0].content == CONTENT, "the job's file is its own"

    asyncio.run(test())


def test_a_file_whose_upload_was_never_stored_is_swept_away(setting: Setting) -> None:
    made = asyncio.run(setting.service.create(CLINIC, wanted()))
    setting.store.remove([made.id])
    assert asyncio.run(setting.service.sweep()) == 0, "it may be stored in the next moment"
    setting.now += timedelta(hours=25)
    assert asyncio.run(setting.service.sweep()) == 1
    assert setting.files() == []


WRITER = """
import asyncio, sys
from pathlib import Path
from gateway.service.keys import ANALYZE_ALL, Caller
from gateway.service.uploads.intake import Piece
from gateway.service.uploads.parts import Parts
from gateway.service.uploads.service import UploadLimits, UploadService
from gateway.store.database import open_database
from gateway.store.uploads import SqlUploadStore
folder, upload_id, offset = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
content = (folder / "content").read_bytes()
store = SqlUploadStore(open_database(f"sqlite:///{folder / 'hedgerow.db'}"))
parts = Parts(folder / "uploads", most_bytes=2**40, most_of_tenant=8)
service = UploadService(store, parts, None, UploadLimits(2**40, flush_bytes=20_000), str)
async def chunks():
    for start in range(offset, len(content) - 1, 7000):
        print(start, flush=True)
        yield content[start:start + 7000]
        await asyncio.sleep(0.002)
asyncio.run(service.append(Caller("", "clinic", frozenset({ANALYZE_ALL})), upload_id, Piece(offset, chunks())))
"""


def test_killed_at_any_moment_the_count_is_never_beyond_the_bytes_on_disk(setting: Setting, tmp_path: Path) -> None:
    content = os.urandom(4_000_000)
    (tmp_path / "content").write_bytes(content)
    service = setting.again(limits=UploadLimits(2**40))
    made = asyncio.run(service.create(CLINIC, wanted(len(content))))
    stands = 0
    for round_number in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), made.id, str(stands)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as writer:
            assert writer.stdout is not None
            for _ in range(20 + 17 * round_number):
                assert writer.stdout.readline(), "the writer ended by itself"
            writer.kill()
        found = setting.store.get("clinic", made.id)
        assert found is not None
        (path,) = setting.files()
        on_disk = path.read_bytes()
        assert stands < found.offset <= len(on_disk)
        assert on_disk[:found.offset] == content[:found.offset]
        stands = found.offset
    whole = asyncio.run(service.append(CLINIC, made.id, piece(stands, content[stands:])))
    assert whole.state is UploadState.COMPLETE
    assert hashlib.sha256(setting.jobs.taken[0].content).digest() == hashlib.sha256(content).digest()
