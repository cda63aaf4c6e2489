"""The contract of HardCaseStore, over each database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.service.learning.ports import CaseFilter, HardCase, Reason
from gateway.service.records import Analysis, new_id
from gateway.service.rollout import Side
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from gateway.store.hard_cases import SqlHardCaseStore
from tests.gateway.store.samples import NOON, analysis_at

ALL = CaseFilter()
OTHER = Side("malignant", abstained=True, values={"benign": 1 / 3, "malignant": 2 / 3})


@pytest.fixture
def store(database: Database) -> SqlHardCaseStore:
    """An empty store."""
    return SqlHardCaseStore(database)


@pytest.fixture
def analyses(database: Database) -> SqlAnalysisStore:
    """The analyses of the same database."""
    return SqlAnalysisStore(database)


def case_of(analysis: Analysis, reason: Reason = "unsure") -> HardCase:
    """A case about that analysis."""
    answer = Side("benign", abstained=False, values={"benign": 0.6, "malignant": 0.4})
    return HardCase(analysis.id, analysis.tenant, analysis.domain, analysis.model, reason, analysis.created_at, answer)


def stored(analyses: SqlAnalysisStore, count: int, *, tenant: str = "clinic") -> list[Analysis]:
    """That many analyses, a second apart, oldest first."""
    made = [analysis_at(NOON + timedelta(seconds=number), len(tenant), tenant=tenant) for number in range(count)]
    analyses.add(made)
    return made


def every(store: SqlHardCaseStore, chosen: CaseFilter = ALL) -> Sequence[HardCase]:
    """All that are chosen."""
    return store.page(chosen, after_id=None, limit=99)


def test_a_case_comes_back_as_it_was_stored(store: SqlHardCaseStore, analyses: SqlAnalysisStore) -> None:
    first, second = stored(analyses, 2)
    full = replace(case_of(first, "disagreement"), other_analysis_id=second.id, other_answer=OTHER)
    assert store.add(full) is True
    assert store.add(case_of(second)) is True
    assert every(store) == [full, case_of(second)]


def test_an_analysis_has_one_case_at_most_and_none_once_it_is_gone(
    store: SqlHardCaseStore, analyses: SqlAnalysisStore
) -> None:
    (kept,) = stored(analyses, 1)
    assert store.add(case_of(kept)) is True
    assert store.add(case_of(kept, "abstained")) is False
    assert store.add(case_of(analysis_at(NOON, 77))) is False
    assert every(store) == [case_of(kept)]


def test_a_second_opinion_is_noted_and_changes_the_reason_only_where_it_disagrees(
    store: SqlHardCaseStore, analyses: SqlAnalysisStore
) -> None:
    agreed, denied, untouched = stored(analyses, 3)
    for analysis in (agreed, denied, untouched):
        store.add(case_of(analysis))
    other = new_id()
    assert store.second(agreed.id, None, other, OTHER) is True
    assert store.second(denied.id, "disagreement", other, OTHER) is True
    assert store.second(new_id(), "disagreement", other, OTHER) is False
    noted = [
        replace(case, other_analysis_id=other, other_answer=OTHER)
        for case in (case_of(agreed), case_of(denied, "disagreement"))
    ]
    assert every(store) == [*noted, case_of(untouched)]


def test_cases_are_listed_by_page_tenant_domain_reason_and_time(
    store: SqlHardCaseStore, analyses: SqlAnalysisStore
) -> None:
    mine = [case_of(analysis) for analysis in stored(analyses, 4)]
    mine[1] = replace(mine[1], reason="abstained")
    mine[2] = replace(mine[2], domain="crop_weed")
    theirs = case_of(stored(analyses, 1, tenant="stranger")[0])
    for case in (*reversed(mine), theirs):
        store.add(case)
    assert every(store, CaseFilter(tenant="clinic")) == mine
    assert every(store, CaseFilter(tenant="stranger")) == [theirs]
    assert every(store, CaseFilter(tenant="clinic", domain="crop_weed")) == [mine[2]]
    assert every(store, CaseFilter(reason="abstained")) == [mine[1]]
    assert every(store, CaseFilter(found_since=NOON + timedelta(seconds=2))) == mine[2:]
    assert store.page(CaseFilter(tenant="clinic"), after_id=mine[0].analysis_id, limit=2) == mine[1:3]
    with pytest.raises(ValueError, match="time zone"):
        every(store, CaseFilter(found_since=NOON.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="UUID"):
        store.page(ALL, after_id="1", limit=2)


def test_a_case_goes_with_its_analysis(store: SqlHardCaseStore, analyses: SqlAnalysisStore) -> None:
    old, new, newest = stored(analyses, 3)
    for analysis in (old, new, newest):
        store.add(case_of(analysis))
    assert analyses.delete("clinic", new.id)
    assert list(analyses.delete_older(old.created_at + timedelta(milliseconds=1), limit=9)) == [old.id]
    assert every(store) == [case_of(newest)]
    assert store.without_case([old.id, new.id, newest.id]) == {old.id, new.id}


def test_a_case_can_be_taken_back(store: SqlHardCaseStore, analyses: SqlAnalysisStore) -> None:
    first, second = stored(analyses, 2)
    store.add(case_of(first))
    store.add(case_of(second))
    store.remove(first.id)
    store.remove(first.id)
    assert every(store) == [case_of(second)]


def test_more_ids_than_one_statement_takes_can_be_asked_for(store: SqlHardCaseStore, analyses: SqlAnalysisStore) -> None:
    (kept,) = stored(analyses, 1)
    store.add(case_of(kept))
    strangers = {new_id() for _ in range(1100)}
    assert store.without_case([*strangers, kept.id]) == strangers
    assert store.without_case([]) == frozenset()
