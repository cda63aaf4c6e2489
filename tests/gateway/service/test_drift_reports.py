"""Which stored answers a report is of, and who may have one."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ANALYZE_ALL, READ, Caller
from gateway.service.learning.reports import Drift, DriftReport
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from tests.gateway.service.observed_scans import MODEL, VERSION, BreastOnly, analyses_of

CLINIC = Caller("", "clinic", frozenset({READ}))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlAnalysisStore]:
    """An empty store."""
    database = open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")
    yield SqlAnalysisStore(database)
    database.close()


def report(store: SqlAnalysisStore, caller: Caller = CLINIC, model: str = MODEL, *, last: int = 500) -> DriftReport:
    """The report."""
    return asyncio.run(Drift(store, BreastOnly()).report(caller, model, last=last))


def test_a_report_is_of_the_newest_answers(store: SqlAnalysisStore) -> None:
    old, new = analyses_of("none", "val"), analyses_of("lung", hours=1)
    store.add([*old, *new])
    latest = report(store, last=len(new))
    assert (latest.model, latest.version, latest.answers, latest.band) == (MODEL, VERSION, len(new), "large")
    assert (latest.oldest, latest.newest) == (new[0].created_at, new[-1].created_at)
    everything = report(store)
    assert everything.answers == len(old) + len(new)
    assert everything.oldest == old[0].created_at


def test_a_tenant_sees_its_own_answers_alone(store: SqlAnalysisStore) -> None:
    store.add([*analyses_of("none", "val"), *analyses_of("lung", tenant="stranger")])
    assert report(store).band == "stable"
    assert report(store, Caller("", "stranger", frozenset({READ}))).band == "large"


def test_second_opinions_clips_and_other_versions_are_passed_over(store: SqlAnalysisStore) -> None:
    counted = analyses_of("none", "val")
    opinions, clips, older = (analyses_of("lung", hours=hours) for hours in (1, 2, 3))
    store.add([
        *counted,
        *(replace(one, provenance={**one.provenance, "opinion_on": counted[0].id}) for one in opinions),
        *(replace(one, result={"kind": "clip_classification", "abstained": False}) for one in clips),
        *(replace(one, provenance={"model": {"name": MODEL, "version": "1.0.0"}}) for one in older),
    ])
    found = report(store)
    assert (found.answers, found.band) == (len(counted), "stable")
    assert found.passed_over == len(opinions) + len(clips) + len(older)


def test_before_the_first_answer_there_is_nothing_to_say(store: SqlAnalysisStore) -> None:
    found = report(store)
    assert (found.answers, found.band, found.oldest, found.newest) == (0, "too_few", None, None)


def test_no_more_is_read_than_a_few_for_each_answer_that_is_wanted(store: SqlAnalysisStore) -> None:
    older = [replace(one, provenance={"model": {"name": MODEL, "version": "1.0.0"}}) for one in analyses_of("none")]
    store.add(older)
    found = report(store, last=25)
    assert (found.answers, found.passed_over) == (0, 100)


@pytest.mark.parametrize(("model", "last", "code", "said"), [
    ("knee", 500, ErrorCode.NOT_FOUND, "no model of that name"),
    ("bad", 500, ErrorCode.NOT_FOUND, "no model of that name"),
    ("old", 500, ErrorCode.NOT_FOUND, r"old 0\.9 holds no training statistics"),
    (MODEL, 0, ErrorCode.INVALID_ARGUMENT, "1 to 5000 answers"),
    (MODEL, 5001, ErrorCode.INVALID_ARGUMENT, "1 to 5000 answers"),
])
def test_what_cannot_be_reported_is_said(store: SqlAnalysisStore, model: str, last: int, code: ErrorCode, said: str) -> None:
    with pytest.raises(ServiceError, match=said) as raised:
        report(store, model=model, last=last)
    assert raised.value.code is code


def test_a_key_that_may_only_analyse_sees_no_report(store: SqlAnalysisStore) -> None:
    with pytest.raises(ServiceError) as raised:
        report(store, Caller("", "clinic", frozenset({ANALYZE_ALL})))
    assert raised.value.code is ErrorCode.PERMISSION_DENIED
