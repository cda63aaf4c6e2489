"""The contract of AnalysisStore, over each database."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from gateway.service.records import Analysis, AnalysisFilter
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from tests.gateway.store.samples import NOON, analysis_at, id_at, sample

EVERYTHING = AnalysisFilter()


@pytest.fixture
def store(database: Database) -> SqlAnalysisStore:
    """An empty store."""
    return SqlAnalysisStore(database)


def listed(store: SqlAnalysisStore, chosen: AnalysisFilter = EVERYTHING, *, tenant: str = "clinic") -> list[str]:
    """The ids of the first page of 100."""
    return [analysis.id for analysis in store.page(tenant, chosen, before_id=None, limit=100)]


def test_an_analysis_comes_back_as_it_went_in(store: SqlAnalysisStore) -> None:
    kept = sample()
    store.add([kept])
    found = store.get("clinic", kept.id)
    assert found == kept
    assert found is not None
    assert list(found.result) == ["kind", "z", "a"]
    assert found.created_at.tzinfo is UTC


def test_a_time_in_another_zone_comes_back_as_the_same_time_in_utc(store: SqlAnalysisStore) -> None:
    local = datetime(2026, 5, 4, 23, 30, 0, 5, tzinfo=timezone(timedelta(hours=-7)))
    store.add([analysis_at(local)])
    found = store.get("clinic", id_at(local))
    assert found is not None
    assert found.created_at == local
    assert found.created_at.utcoffset() == timedelta(0)


def test_another_tenant_sees_nothing_and_deletes_nothing(store: SqlAnalysisStore) -> None:
    kept = sample(tenant="clinic")
    store.add([kept])
    assert store.get("farm", kept.id) is None
    assert listed(store, tenant="farm") == []
    assert store.delete("farm", kept.id) is False
    assert store.get("clinic", kept.id) == kept


@pytest.mark.parametrize("text", ["", "x", "../../etc/passwd", "0" * 32, str(id_at(NOON)).upper(), "%", "\x00"])
def test_a_text_that_is_no_id_is_simply_not_found(store: SqlAnalysisStore, text: str) -> None:
    store.add([analysis_at(NOON)])
    assert store.get("clinic", text) is None
    assert store.delete("clinic", text) is False


def test_a_deleted_analysis_is_gone_and_deleting_it_again_says_so(store: SqlAnalysisStore) -> None:
    kept, other = sample(), sample()
    store.add([kept, other])
    assert store.delete("clinic", kept.id) is True
    assert store.delete("clinic", kept.id) is False
    assert listed(store) == [other.id]


def test_one_that_cannot_be_stored_keeps_the_others_out_too(store: SqlAnalysisStore) -> None:
    first, again = analysis_at(NOON, 1), analysis_at(NOON, 2)
    store.add([again])
    with pytest.raises(IntegrityError):
        store.add([first, again])
    assert listed(store) == [again.id]
    store.add([first])
    assert set(listed(store)) == {first.id, again.id}


def test_an_error_of_the_database_quotes_no_result(store: SqlAnalysisStore) -> None:
    kept = analysis_at(NOON)
    store.add([kept])
    with pytest.raises(IntegrityError) as error:
        store.add([kept])
    assert "benign" not in str(error.value)
    assert "classification" not in str(error.value)


def test_nothing_to_add_adds_nothing(store: SqlAnalysisStore) -> None:
    store.add([])
    assert listed(store) == []


def test_a_record_that_could_not_be_read_back_is_refused(store: SqlAnalysisStore) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        store.add([sample("not-an-id")])
    with pytest.raises((ValueError, StatementError), match="time zone"):
        store.add([sample(created_at=datetime(2026, 5, 4))])  # noqa: DTZ001 (the mistake that is tested)
    with pytest.raises((ValueError, StatementError), match="JSON"):
        store.add([replace(sample(), result={"score": float("nan")})])
    assert listed(store) == []


def test_the_newest_come_first(store: SqlAnalysisStore) -> None:
    made = [analysis_at(NOON + timedelta(minutes=minute)) for minute in (5, 1, 3)]
    store.add(made)
    assert listed(store) == [made[0].id, made[2].id, made[1].id]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (AnalysisFilter(), [4, 3, 2, 1, 0]),
        (AnalysisFilter(domain="crop_weed"), [4, 3]),
        (AnalysisFilter(model="lung"), [2]),
        (AnalysisFilter(label="normal"), [2, 1]),
        (AnalysisFilter(abstained=True), [3, 1]),
        (AnalysisFilter(abstained=False), [4, 2, 0]),
        (AnalysisFilter(domain="pathology", label="normal", abstained=True), [1]),
        (AnalysisFilter(domain="pathology", model="peanut"), []),
        (AnalysisFilter(created_after=NOON + timedelta(hours=2)), [4, 3, 2]),
        (AnalysisFilter(created_before=NOON + timedelta(hours=2)), [1, 0]),
        (AnalysisFilter(created_after=NOON + timedelta(hours=2, microseconds=1)), [4, 3]),
        (AnalysisFilter(created_after=NOON + timedelta(hours=1), created_before=NOON + timedelta(hours=3)), [2, 1]),
        (AnalysisFilter(created_after=datetime.min.replace(tzinfo=UTC)), [4, 3, 2, 1, 0]),
        (AnalysisFilter(created_before=datetime.max.replace(tzinfo=UTC)), [4, 3, 2, 1, 0]),
        (AnalysisFilter(label="' OR 1=1 --"), []),
    ],
)
def test_a_filter_lists_what_it_names(store: SqlAnalysisStore, chosen: AnalysisFilter, expected: list[int]) -> None:
    kinds = [
        ("pathology", "breast", "benign", False),
        ("pathology", "breast", "normal", True),
        ("pathology", "lung", "normal", False),
        ("crop_weed", "peanut", "segmentation", True),
        ("crop_weed", "peanut", "segmentation", False),
    ]
    times = [NOON + timedelta(hours=hour) for hour in range(len(kinds))]
    ids = [id_at(moment) for moment in times]
    store.add(
        [
            sample(ids[n], domain=domain, model=model, label=label, abstained=abstained, created_at=times[n])
            for n, (domain, model, label, abstained) in enumerate(kinds)
        ]
    )
    assert listed(store, chosen) == [ids[n] for n in expected]


def test_an_analysis_stored_some_seconds_after_its_id_was_made_is_found_by_its_own_time(
    store: SqlAnalysisStore,
) -> None:
    kept = sample(id_at(NOON), created_at=NOON + timedelta(seconds=30))
    store.add([kept])
    later = NOON + timedelta(seconds=20)
    assert listed(store, AnalysisFilter(created_after=later)) == [kept.id]
    assert listed(store, AnalysisFilter(created_before=later)) == []


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 5, 4), datetime.min.replace(tzinfo=timezone(timedelta(hours=2)))],  # noqa: DTZ001 (tested)
    ids=["no zone", "before the year 1 in UTC"],
)
def test_a_time_that_is_no_point_in_time_is_refused(store: SqlAnalysisStore, moment: datetime) -> None:
    with pytest.raises(ValueError, match="a time must"):
        store.page("clinic", AnalysisFilter(created_after=moment), before_id=None, limit=1)


def test_a_cursor_that_is_no_uuid_is_refused(store: SqlAnalysisStore) -> None:
    with pytest.raises(ValueError, match="UUID"):
        store.page("clinic", EVERYTHING, before_id="x", limit=1)


def test_pages_have_no_gap_and_no_double_while_new_analyses_arrive(store: SqlAnalysisStore) -> None:
    """All in the same millisecond, where only the rest of the id decides."""
    old = [analysis_at(NOON, number) for number in range(100, 125)]
    store.add(old)
    seen: list[str] = []
    before: str | None = None
    for arrival in range(100):
        page = store.page("clinic", EVERYTHING, before_id=before, limit=4)
        if not page:
            break
        seen += [analysis.id for analysis in page]
        before = page[-1].id
        store.add([analysis_at(NOON, 1000 + arrival), analysis_at(NOON + timedelta(seconds=1), arrival)])
    assert seen == sorted((analysis.id for analysis in old), reverse=True)


def test_what_eight_threads_add_is_all_there(store: SqlAnalysisStore) -> None:
    batches = [[analysis_at(NOON, 1000 * thread + 2 * n + k) for k in (0, 1)] for thread in range(8) for n in range(20)]
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for batch in batches[thread * 20 : thread * 20 + 20]:
            store.add(batch)
            assert store.get("clinic", batch[0].id) == batch[0]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    everything = store.page("clinic", EVERYTHING, before_id=None, limit=1000)
    assert sorted(_ids(everything)) == sorted(analysis.id for batch in batches for analysis in batch)


def test_retention_removes_the_oldest_of_all_tenants_up_to_its_limit(store: SqlAnalysisStore) -> None:
    made = [analysis_at(NOON + timedelta(hours=n), tenant=("clinic", "farm")[n % 2]) for n in range(6)]
    store.add(list(reversed(made)))
    bound = NOON + timedelta(hours=4)
    assert list(store.delete_older(bound, limit=3)) == _ids(made[:3])
    assert list(store.delete_older(bound, limit=3)) == _ids(made[3:4])
    assert list(store.delete_older(bound, limit=3)) == []
    assert listed(store) == [made[4].id]
    assert listed(store, tenant="farm") == [made[5].id]


def test_two_clean_ups_at_once_remove_each_analysis_once(store: SqlAnalysisStore) -> None:
    made = [analysis_at(NOON, number) for number in range(200)]
    store.add(made)

    def clean(_: int) -> list[str]:
        gone: list[str] = []
        for _round in range(10):
            gone += store.delete_older(NOON + timedelta(seconds=1), limit=10)
        return gone

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(clean, range(2))
    assert len(first + second) == len(set(first + second)) == 200


def _ids(analyses: Sequence[Analysis]) -> list[str]:
    return [analysis.id for analysis in analyses]
