"""Uploads in pieces: what is kept of them, who may go on, and what they become; over a real store and a real folder."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domains.errors import EmptyMedia, UnknownDomain
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.uploads.intake import Checksum, ChecksumMismatch, Piece
from gateway.service.uploads.records import Upload, UploadState
from gateway.service.uploads.service import NewUpload, UploadLimits
from gateway.service.uploads.turns import UploadLocked
from tests.gateway.service.upload_setting import (
    CLINIC,
    CONTENT,
    CUT,
    FARM,
    READER,
    Setting,
    bytes_of,
    hanging,
    piece,
    refused,
    wanted,
)
from tests.upload_gateway import database_in


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with database_in(tmp_path) as database:
        yield Setting(tmp_path, database)


def test_a_file_in_pieces_becomes_one_job_with_all_that_was_said_at_its_beginning(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted(
            parameters={"exam": "lung_ultrasound"}, key="visit-1/scan", callback_url="https://example.org/results",
            consents=("cloud",),
        ))
        half = await service.append(CLINIC, made.id, piece(0, CONTENT[:5000]))
        assert (half.offset, half.state, half.job_id) == (5000, UploadState.OPEN, None)
        whole = await service.append(CLINIC, made.id, piece(5000, CONTENT[5000:]))
        (taken,) = setting.jobs.taken
        assert (whole.state, whole.job_id) == (UploadState.COMPLETE, taken.job.id)
        assert taken.content == CONTENT
        assert (taken.key, taken.callback) == ("visit-1/scan", {"url": "https://example.org/results"})
        assert taken.consents == ("cloud",)
        assert (taken.job.parameters, taken.job.request_id) == ({"exam": "lung_ultrasound"}, "visit-1")
        assert setting.files() == []
        again = await service.append(CLINIC, made.id, piece(len(CONTENT), b""))
        assert again.job_id == (await service.get(CLINIC, made.id)).job_id == taken.job.id
        assert len(setting.jobs.taken) == 1

    asyncio.run(test())


def test_a_connection_cut_in_the_middle_of_a_piece_keeps_what_arrived(setting: Setting) -> None:
    async def test() -> None:
        made = await setting.service.create(CLINIC, wanted())
        error = await refused(setting.service.append(CLINIC, made.id, piece(0, CONTENT[:4321], then=CUT)))
        assert error is CUT
        assert (await setting.again().get(CLINIC, made.id)).offset == 4321
        whole = await setting.service.append(CLINIC, made.id, piece(4321, CONTENT[4321:], then=CUT))
        assert whole.state is UploadState.COMPLETE, "all bytes were there when the connection broke"
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


def test_a_piece_for_another_place_is_refused_and_changes_nothing(setting: Setting) -> None:
    async def test() -> None:
        made = await setting.service.create(CLINIC, wanted())
        await setting.service.append(CLINIC, made.id, piece(0, CONTENT[:1000]))
        for offset in (0, 999, 1001, len(CONTENT)):
            error = await refused(setting.service.append(CLINIC, made.id, piece(offset, b"x" * 10)))
            assert error.code is ErrorCode.CONFLICT
        whole = await setting.service.append(CLINIC, made.id, piece(1000, CONTENT[1000:]))
        late = await refused(setting.service.append(CLINIC, made.id, piece(1000, CONTENT[1000:])))
        assert (late.code, whole.job_id) == (ErrorCode.CONFLICT, setting.jobs.taken[0].job.id)
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


def test_more_bytes_than_announced_are_refused_whether_their_number_is_told_or_not(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted(5000))
        for too_much in (piece(0, CONTENT[:5001]), Piece(0, bytes_of(CONTENT[:5001])), Piece(0, bytes_of(CONTENT, step=5000))):
            error = await refused(service.append(CLINIC, made.id, too_much))
            assert error.code is ErrorCode.PAYLOAD_TOO_LARGE
            made = await service.get(CLINIC, made.id)
            assert made.state is UploadState.OPEN
            await service.end(CLINIC, made.id)
            made = await service.create(CLINIC, wanted(5000))
        assert setting.jobs.taken == []

    asyncio.run(test())


def test_of_two_at_once_one_goes_on_and_the_other_is_refused(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        answers = await asyncio.gather(
            *(service.append(CLINIC, made.id, piece(0, CONTENT)) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(answer, Upload) for answer in answers) == 1
        assert {answer.code for answer in answers if isinstance(answer, ServiceError)} == {ErrorCode.CONFLICT}
        assert [taken.content for taken in setting.jobs.taken] == [CONTENT]

    asyncio.run(test())


def test_of_two_gateways_on_one_folder_one_writes_and_the_other_is_refused(setting: Setting) -> None:
    async def test() -> None:
        first, second = setting.service, setting.again()
        made = await first.create(CLINIC, wanted())
        writing = asyncio.create_task(first.append(CLINIC, made.id, Piece(0, hanging(CONTENT[:3000]))))
        await asyncio.sleep(0.2)
        found = setting.store.get("clinic", made.id)
        assert found is not None
        assert found.offset == 3000
        error = await refused(second.append(CLINIC, made.id, piece(3000, CONTENT[3000:])))
        assert isinstance(error, UploadLocked)
        await first.close()
        await refused(writing)
        assert (await second.get(CLINIC, made.id)).offset == 3000
        await second.append(CLINIC, made.id, piece(3000, CONTENT[3000:]))
        assert [taken.content for taken in setting.jobs.taken] == [CONTENT]

    asyncio.run(test())


def test_who_asks_for_the_offset_can_go_on_though_an_old_connection_still_hangs(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        old = asyncio.create_task(service.append(CLINIC, made.id, Piece(0, hanging(CONTENT[:777]))))
        await asyncio.sleep(0.2)
        assert (await refused(service.append(CLINIC, made.id, piece(0, CONTENT)))).code is ErrorCode.CONFLICT
        assert (await asyncio.wait_for(service.get(CLINIC, made.id), 5)).offset == 777
        assert (await refused(old)).code is ErrorCode.CONFLICT
        await service.append(CLINIC, made.id, piece(777, CONTENT[777:]))
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


def test_a_connection_that_brings_nothing_for_too_long_is_ended_and_its_bytes_kept(setting: Setting) -> None:
    async def test() -> None:
        service = setting.again(limits=UploadLimits(1_000_000, stall_s=0.2))
        made = await service.create(CLINIC, wanted())
        error = await refused(service.append(CLINIC, made.id, Piece(0, hanging(CONTENT[:777]))))
        assert error.code is ErrorCode.DEADLINE_EXCEEDED
        assert (await service.get(CLINIC, made.id)).offset == 777

    asyncio.run(test())


def test_a_caller_that_is_dropped_leaves_its_bytes_and_no_lock(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        dropped = asyncio.create_task(service.append(CLINIC, made.id, Piece(0, hanging(CONTENT[:777]))))
        await asyncio.sleep(0.2)
        dropped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dropped
        await service.append(CLINIC, made.id, piece(777, CONTENT[777:]))
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_bytes_under_a_checksum_count_when_they_are_whole_and_right_and_not_before(setting: Setting, algorithm: Any) -> None:
    async def test() -> None:
        service = setting.service
        right = Checksum(algorithm, hashlib.new(algorithm, CONTENT[2000:]).digest())
        made = await service.create(CLINIC, wanted())
        await service.append(CLINIC, made.id, piece(0, CONTENT[:2000]))
        damaged = CONTENT[2000:-1] + b"x"
        error = await refused(service.append(CLINIC, made.id, piece(2000, damaged, checksum=right)))
        assert isinstance(error, ChecksumMismatch)
        cut = piece(2000, CONTENT[2000:6000], then=CUT, checksum=right)
        assert await refused(service.append(CLINIC, made.id, cut)) is CUT
        assert (await service.get(CLINIC, made.id)).offset == 2000
        whole = await service.append(CLINIC, made.id, piece(2000, CONTENT[2000:], checksum=right))
        assert whole.state is UploadState.COMPLETE
        assert setting.jobs.taken[0].content == CONTENT

    asyncio.run(test())


def test_an_upload_that_was_ended_is_not_found_any_more(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        hangs = asyncio.create_task(service.append(CLINIC, made.id, Piece(0, hanging(CONTENT[:777]))))
        await asyncio.sleep(0.2)
        await asyncio.wait_for(service.end(CLINIC, made.id), 5)
        assert (await refused(hangs)).code is ErrorCode.CONFLICT
        for work in (service.get(CLINIC, made.id), service.end(CLINIC, made.id), service.append(CLINIC, made.id, piece(777, b"x"))):
            assert (await refused(work)).code is ErrorCode.NOT_FOUND
        assert setting.files() == []

    asyncio.run(test())


def test_another_tenants_upload_is_not_found_and_a_key_without_the_scope_is_refused(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        made = await service.create(CLINIC, wanted())
        for caller, code in ((FARM, ErrorCode.NOT_FOUND), (READER, ErrorCode.PERMISSION_DENIED)):
            for work in (
                service.get(caller, made.id), service.append(caller, made.id, piece(0, CONTENT)), service.end(caller, made.id)
            ):
                assert (await refused(work)).code is code
        assert (await refused(service.create(READER, wanted()))).code is ErrorCode.PERMISSION_DENIED
        assert (await service.get(CLINIC, made.id)).offset == 0

    asyncio.run(test())


def test_what_can_never_become_an_answer_is_refused_at_the_beginning(setting: Setting) -> None:
    async def test() -> None:
        service = setting.service
        with pytest.raises(UnknownDomain):
            await service.create(CLINIC, NewUpload("astrology", 10, "visit-1"))
        with pytest.raises(EmptyMedia):
            await service.create(CLINIC, wanted(0))
        assert (await refused(service.create(CLINIC, wanted(1_000_001)))).code is ErrorCode.PAYLOAD_TOO_LARGE
        error = await refused(service.create(CLINIC, wanted(callback_url="http://10.0.0.1/")))
        assert error.parameter == "callback_url"
        assert setting.files() == []

    asyncio.run(test())


def test_a_tenant_may_have_so_many_open_and_all_together_so_many_bytes(setting: Setting) -> None:
    async def test() -> None:
        service = setting.again(parts=setting.parts(most_bytes=25_000, most_of_tenant=2))
        first, _ = await service.create(CLINIC, wanted(8000)), await service.create(CLINIC, wanted(8000))
        for caller, size, code in ((CLINIC, 1, ErrorCode.OVERLOADED), (FARM, 9001, ErrorCode.STORAGE_FULL)):
            error = await refused(service.create(caller, wanted(size)))
            assert error.code is code
            assert error.retry_after_s
        await service.create(FARM, wanted(9000))
        await service.end(CLINIC, first.id)
        await service.create(CLINIC, wanted(8000))

    asyncio.run(test())
