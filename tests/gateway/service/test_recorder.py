"""Group commit: what is told to whom, and what is on the disk afterwards."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.service.ports import AnalysisStore
from gateway.service.recorder import MOST_AT_ONCE, MOST_BYTES, Recorder
from gateway.service.records import Analysis, AnalysisFilter, new_id
from gateway.store.images import FolderImageStore
from tests.gateway.store.kept_pictures import kept_pictures

PICTURES = {"input": b"scan"}


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


def test_answers_that_come_while_a_transaction_runs_share_the_next_one(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        first = asyncio.create_task(recorder.add(analysis(), PICTURES))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(recorder.add(analysis(), PICTURES)) for _ in range(10)]
        await asyncio.sleep(0.05)
        assert not first.done(), "nobody is told before it is stored"
        store.go.release(2)
        await asyncio.gather(first, *others)
        assert [len(batch) for batch in store.transactions] == [1, 10]
        await recorder.close()

    asyncio.run(test())


def test_an_answer_that_could_not_be_stored_is_told_and_the_next_one_is_stored(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        store.broken = True
        store.go.release(1)
        with pytest.raises(OSError, match="disk full"):
            await recorder.add(analysis(), PICTURES)
        store.broken = False
        store.go.release(1)
        await recorder.add(analysis(), PICTURES)
        assert len(store.transactions) == 1
        assert len(kept_pictures(tmp_path)) == 1, "of the one that was stored"
        await recorder.close()

    asyncio.run(test())


def test_one_answer_that_can_not_be_stored_keeps_no_other_from_it(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        rows = [analysis() for _ in range(5)]
        store.refused = rows[3].id
        adding = [asyncio.create_task(recorder.add(row, PICTURES)) for row in rows]
        store.go.release(10)
        told = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(answer) for answer in told] == [type(None)] * 3 + [ValueError, type(None)]
        kept = {row.id for row in rows} - {rows[3].id}
        assert {row.id for batch in store.transactions for row in batch} == kept
        assert set(kept_pictures(tmp_path)) == kept
        await recorder.close()

    asyncio.run(test())


def test_an_answer_whose_pictures_can_not_be_stored_keeps_no_other_from_it_and_has_no_row(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        rows = [analysis() for _ in range(4)]
        store.go.release(10)
        adding = [asyncio.create_task(recorder.add(row, {"../out": b"1"} if row is rows[2] else PICTURES)) for row in rows]
        told = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(answer) for answer in told] == [type(None), type(None), ValueError, type(None)]
        kept = {row.id for row in rows} - {rows[2].id}
        assert {row.id for batch in store.transactions for row in batch} == kept
        assert set(kept_pictures(tmp_path)) == kept
        await recorder.close()

    asyncio.run(test())


def test_who_leaves_before_its_turn_leaves_nothing_behind(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        first, leaver, stayer = analysis(), analysis(), analysis()
        waiting = asyncio.create_task(recorder.add(first, PICTURES))
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(recorder.add(leaver, PICTURES))
        staying = asyncio.create_task(recorder.add(stayer, {}))
        await asyncio.sleep(0)
        leaving.cancel()
        store.go.release(2)
        await asyncio.gather(waiting, staying)
        await recorder.close()
        assert [[row.id for row in batch] for batch in store.transactions] == [[first.id], [stayer.id]]
        assert set(kept_pictures(tmp_path)) == {first.id}

    asyncio.run(test())


def test_a_crowd_is_stored_in_turns_of_so_many(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        store.go.release(10)
        await asyncio.gather(*(recorder.add(analysis(), PICTURES) for _ in range(MOST_AT_ONCE * 2 + 5)))
        assert [len(batch) for batch in store.transactions] == [MOST_AT_ONCE, MOST_AT_ONCE, 5]
        assert len(kept_pictures(tmp_path)) == MOST_AT_ONCE * 2 + 5
        await recorder.close()

    asyncio.run(test())


def test_large_pictures_make_turns_short(tmp_path: Path) -> None:
    async def test() -> None:
        store, images = SlowStore(), FolderImageStore(tmp_path)
        recorder = Recorder(store, images)
        store.go.release(10)
        large = {"input": bytes(MOST_BYTES + 1)}
        await asyncio.gather(*(recorder.add(analysis(), pictures) for pictures in (PICTURES, PICTURES, large, large, PICTURES, PICTURES)))
        assert [len(batch) for batch in store.transactions] == [2, 1, 1, 2]
        await recorder.close()

    asyncio.run(test())
