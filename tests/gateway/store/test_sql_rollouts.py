"""The contract of RolloutStore, over each database."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.service.records import Analysis, Deployment, Disagreement, Rollback, Trial
from gateway.service.rollout import Side, Tally
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database, open_database
from gateway.store.rollouts import SqlRolloutStore
from tests.gateway.store.samples import NOON, analysis_at

TALLY = Tally(runs=120, failed=2, compared=118, disagreed=7, skipped=40, recent=(False, True) * 50,
              times_ms=((8.25, 9.5), (1 / 3, 0.1)))
TRIAL = Trial("1.1.0", "canary", NOON, share=0.05, allowed_disagreement=0.2, tally=TALLY)
ROLLBACK = Rollback("1.0.9", "", NOON - timedelta(days=1), "it broke or hung a worker process", automatic=True)
FULL = Deployment("lung_ultrasound", "1.0.2", ("", "1.0.1"), TRIAL, ROLLBACK)


@pytest.fixture
def store(database: Database) -> SqlRolloutStore:
    """An empty store."""
    return SqlRolloutStore(database)


@pytest.fixture
def analyses(database: Database) -> SqlAnalysisStore:
    """The analyses of the same database."""
    return SqlAnalysisStore(database)


def disagreement(analysis: Analysis, *, model: str = "lung_ultrasound") -> Disagreement:
    """One about that analysis."""
    return Disagreement(
        analysis.id, analysis.tenant, model, NOON, "shadow", "label",
        "1.0.0", Side("normal", abstained=False, values={"normal": 0.9, "abnormal": 0.1}),
        "1.1.0", Side("abnormal", abstained=True, values={"normal": 1 / 3, "abnormal": 2 / 3}),
    )


def stored(analyses: SqlAnalysisStore, count: int, *, tenant: str = "clinic") -> list[Analysis]:
    """That many analyses, oldest first."""
    made = [analysis_at(NOON + timedelta(seconds=number), hash(tenant) % 1000, tenant=tenant) for number in range(count)]
    analyses.add(made)
    return made


def test_what_is_in_service_and_on_trial_comes_back_as_it_went_in(store: SqlRolloutStore) -> None:
    store.save(Deployment("breast_ultrasound"))
    store.save(FULL)
    assert store.deployments() == [Deployment("breast_ultrasound"), FULL]


def test_a_deployment_takes_the_place_of_the_one_before(store: SqlRolloutStore) -> None:
    store.save(FULL)
    ended = replace(FULL, trial=None)
    store.save(ended)
    assert store.deployments() == [ended]


def test_another_process_finds_the_same_versions_in_service(store: SqlRolloutStore, url: str) -> None:
    store.save(FULL)
    second = open_database(url)
    assert SqlRolloutStore(second).deployments() == [FULL]
    second.close()


def test_disagreements_are_listed_newest_first_by_page_tenant_and_model(
    store: SqlRolloutStore, analyses: SqlAnalysisStore
) -> None:
    mine = [disagreement(analysis) for analysis in stored(analyses, 4)]
    theirs = [disagreement(analysis) for analysis in stored(analyses, 1, tenant="stranger")]
    mine[1] = replace(mine[1], model="breast_ultrasound")
    for found in (*mine, *theirs):
        assert store.add(found, keep=1000) is True
    first = store.disagreements("clinic", "lung_ultrasound", before_id=None, limit=2)
    assert first == [mine[3], mine[2]]
    assert store.disagreements("clinic", "lung_ultrasound", before_id=first[-1].analysis_id, limit=2) == [mine[0]]
    assert store.disagreements("stranger", "lung_ultrasound", before_id=None, limit=9) == theirs
    assert store.disagreements("clinic", "peanut", before_id=None, limit=9) == []
    with pytest.raises(ValueError, match="UUID"):
        store.disagreements("clinic", "lung_ultrasound", before_id="1", limit=2)


def test_only_the_newest_are_kept_of_each_tenant_and_model(store: SqlRolloutStore, analyses: SqlAnalysisStore) -> None:
    theirs = disagreement(stored(analyses, 1, tenant="stranger")[0])
    store.add(theirs, keep=3)
    mine = [disagreement(analysis) for analysis in stored(analyses, 7)]
    for found in mine:
        store.add(found, keep=3)
    assert store.disagreements("clinic", "lung_ultrasound", before_id=None, limit=9) == mine[:3:-1]
    assert store.disagreements("stranger", "lung_ultrasound", before_id=None, limit=9) == [theirs]
    with pytest.raises(ValueError, match="at least one"):
        store.add(theirs, keep=0)


def test_a_disagreement_goes_with_its_analysis(store: SqlRolloutStore, analyses: SqlAnalysisStore) -> None:
    old, new, newest = stored(analyses, 3)
    for analysis in (old, new, newest):
        store.add(disagreement(analysis), keep=1000)
    assert analyses.delete("clinic", new.id)
    assert list(analyses.delete_older(old.created_at + timedelta(milliseconds=1), limit=9)) == [old.id]
    left = store.disagreements("clinic", "lung_ultrasound", before_id=None, limit=9)
    assert [found.analysis_id for found in left] == [newest.id]


def test_an_analysis_that_is_gone_or_listed_already_is_left_alone(
    store: SqlRolloutStore, analyses: SqlAnalysisStore
) -> None:
    (kept,) = stored(analyses, 1)
    assert store.add(disagreement(kept), keep=1000) is True
    assert store.add(replace(disagreement(kept), difference="area"), keep=1000) is False
    assert store.add(disagreement(analysis_at(NOON, 77)), keep=1000) is False
    assert store.disagreements("clinic", "lung_ultrasound", before_id=None, limit=9) == [disagreement(kept)]
