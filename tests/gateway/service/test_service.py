"""Parts of the service that need no gateway around them."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.console.files import collect
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.parameters import from_query, from_struct
from gateway.service.ports import AnalysisStore
from gateway.service.recorder import Recorder
from gateway.service.records import Analysis, AnalysisFilter, new_id


def analysis() -> Analysis:
    return Analysis(
        id=new_id(), tenant="t", domain="d", created_at=datetime.now(UTC), request_id="r", model="m", label="l",
        abstained=False, parameters={}, media={}, result={}, provenance={},
    )


class SlowStore(AnalysisStore):
    """Keeps analyses in a list; each transaction waits until it is let go. The next one fails when told to."""

    def __init__(self) -> None:
        self.transactions: list[list[Analysis]] = []
        self.go = threading.Semaphore(0)
        self.broken = False
        self.refused = ""
        """Id of an analysis that can't be stored."""

    def add(self, analyses: Sequence[Analysis]) -> None:
        self.go.acquire()
        if self.broken:
            raise OSError("disk full")
        if self.refused in {row.id for row in analyses}:
            raise ValueError("not JSON")
        self.transactions.append(list(analyses))

    def get(self, tenant: str, analysis_id: str) -> Analysis | None:
        raise AssertionError((tenant, analysis_id))

    def page(self, tenant: str, chosen: AnalysisFilter, *, before_id: str | None, limit: int) -> Sequence[Analysis]:
        raise AssertionError((tenant, chosen, before_id, limit))

    def delete(self, tenant: str, analysis_id: str) -> bool:
        raise AssertionError((tenant, analysis_id))

    def delete_older(self, before: datetime, *, limit: int) -> Sequence[str]:
        raise AssertionError((before, limit))


def test_answers_that_come_while_a_transaction_runs_share_the_next_one() -> None:
    async def test() -> None:
        store = SlowStore()
        recorder = Recorder(store)
        first = asyncio.create_task(recorder.add(analysis()))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(recorder.add(analysis())) for _ in range(10)]
        await asyncio.sleep(0.05)
        assert not first.done(), "nobody is told before it is stored"
        store.go.release(2)
        await asyncio.gather(first, *others)
        assert [len(batch) for batch in store.transactions] == [1, 10]
        await recorder.close()

    asyncio.run(test())


def test_an_answer_that_could_not_be_stored_is_told_and_the_next_one_is_stored() -> None:
    async def test() -> None:
        store = SlowStore()
        recorder = Recorder(store)
        store.broken = True
        store.go.release(1)
        with pytest.raises(OSError, match="disk full"):
            await recorder.add(analysis())
        store.broken = False
        store.go.release(1)
        await recorder.add(analysis())
        assert len(store.transactions) == 1
        await recorder.close()

    asyncio.run(test())


def test_one_answer_that_can_not_be_stored_keeps_no_other_from_it() -> None:
    async def test() -> None:
        store = SlowStore()
        recorder = Recorder(store)
        rows = [analysis() for _ in range(5)]
        store.refused = rows[3].id
        adding = [asyncio.create_task(recorder.add(row)) for row in rows]
        store.go.release(10)
        told = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(answer) for answer in told] == [type(None)] * 3 + [ValueError, type(None)]
        assert {row.id for batch in store.transactions for row in batch} == {row.id for row in rows} - {rows[3].id}
        await recorder.close()

    asyncio.run(test())


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [text[:13] for text in made] == sorted(text[:13] for text in made)
    for text in made:
        assert UUID(text).version == 7
        assert UUID(text).variant == "specified in RFC 4122"
    stamped = datetime.fromtimestamp((UUID(made[0]).int >> 80) / 1000, UTC)
    assert abs(datetime.now(UTC) - stamped) < timedelta(seconds=5)


def test_query_parameters_that_read_as_numbers_are_numbers() -> None:
    given = [("exam", "lung"), ("frame", "3"), ("ground_resolution_mm", "0.5"), ("odd", "1e5"), ("neg", "-2"), ("word", "nan")]
    assert from_query(given) == {
        "exam": "lung", "frame": 3, "ground_resolution_mm": 0.5, "odd": "1e5", "neg": -2, "word": "nan",
    }
    with pytest.raises(ServiceError) as caught:
        from_query([("exam", "a"), ("exam", "b")])
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.parameter == "exam"


def test_whole_numbers_survive_protobufs_struct() -> None:
    assert from_struct({"frame": 3.0, "ground_resolution_mm": 0.5, "exam": "lung"}) == {
        "frame": 3, "ground_resolution_mm": 0.5, "exam": "lung",
    }


def test_folders_are_searched_for_pictures_and_dicom_files_without_a_suffix(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.dcm", "a/notes.txt", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "a" / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "a" / "README").write_bytes(b"text")
    assert [item.name for item in collect([tmp_path])] == ["a/IM0001", "a/c.dcm", "b.JPG"]
    assert [item.name for item in collect([tmp_path / "a" / "notes.txt"])] == ["notes.txt"]
    with pytest.raises(FileNotFoundError):
        list(collect([tmp_path / "missing"]))
