"""`make durability` notices a second opinion that is missing, doubled, of another file or on another answer, and what left unsaid."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.durability_books import Kept, in_database
from benchmarks.durability_cloud_books import (
    CloudKept,
    CloudTally,
    cloud_in_database,
    cloud_tally,
    cloud_verdicts,
    firsts,
    seconds,
)
from gateway.service.leaving.audit import Departure
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.audit import SqlAuditLog
from gateway.store.database import open_database
from gateway.store.jobs import SqlJobStore
from tests.gateway.store.job_samples import LEASE_S, new_job
from tests.gateway.store.samples import NOON, sample

FIRST, OPINION, SENT = "first", "opinion", "sent"
WHOLE: dict[str, Any] = {"whole": True, "entries": 2}
Books = tuple[Kept, CloudKept]


def books() -> Books:
    """An answer of the edge with its second opinion, and one that the cloud gave in the edge's place."""
    kept = Kept(
        dict.fromkeys((FIRST, OPINION, SENT), "done"), {FIRST: "a", OPINION: "a", SENT: "b"}, [],
        {FIRST: "photo-1", OPINION: "opinion", SENT: "photo-2"}, dict.fromkeys((FIRST, OPINION, SENT), 1),
    )
    return kept, CloudKept(
        {FIRST: "edge", OPINION: "cloud", SENT: "cloud"}, {FIRST: "", OPINION: "audit", SENT: "always_cloud"}, {OPINION: FIRST},
        {FIRST: "edge", OPINION: "cloud", SENT: "cloud"}, {OPINION: FIRST}, {FIRST: OPINION}, {FIRST: 1, SENT: 1},
    )


def failed(found: Books, *, rest: Kept | None = None, audit: dict[str, Any] = WHOLE) -> int:
    """How many of the verdicts are against it."""
    kept, cloud = found
    return sum(not one.ok for one in cloud_verdicts(cloud_tally(kept, cloud), rest or kept, kept, cloud, audit))


def test_where_all_is_answered_once_all_is_well() -> None:
    kept, cloud = books()
    assert cloud_tally(kept, cloud) == CloudTally(
        asked=2, second_opinions=1, answered=2, lost=0, double=0, unasked=0, departures=2, again=0, unentered=0
    )
    assert failed(books()) == 0


def _job_failed(found: Books) -> None:
    found[0].states[OPINION] = "failed"


def _job_is_gone(found: Books) -> None:
    del found[0].states[OPINION], found[1].tiers[OPINION]


def _edge_answered(found: Books) -> None:
    found[1].answered_by[SENT] = "edge"


def _no_analysis(found: Books) -> None:
    del found[1].answered_by[SENT], found[0].files[SENT]


def _of_another_file(found: Books) -> None:
    found[0].files[OPINION] = "b"


def _on_another_answer(found: Books) -> None:
    found[1].on[OPINION] = SENT


@pytest.mark.parametrize(
    "harm", [_job_failed, _job_is_gone, _edge_answered, _no_analysis, _of_another_file, _on_another_answer]
)
def test_what_the_cloud_did_not_answer_rightly_is_lost(harm: Callable[[Books], None]) -> None:
    kept, cloud = books()
    harm((kept, cloud))
    assert cloud_tally(kept, cloud).lost == 1
    assert failed((kept, cloud)) >= 1


def test_a_second_look_that_is_double_or_that_no_answer_names_is_told() -> None:
    kept, cloud = books()
    cloud.opinions["another"], cloud.on["another"] = FIRST, FIRST
    told = cloud_tally(kept, cloud)
    assert (told.double, told.unasked) == (1, 1)
    assert failed((kept, cloud)) == 1


def test_a_picture_that_left_without_an_entry_is_told_and_one_that_left_twice_is_counted() -> None:
    kept, cloud = books()
    cloud.left = {FIRST: 3}
    told = cloud_tally(kept, cloud)
    assert (told.unentered, told.departures, told.again) == (1, 3, 2)
    assert failed((kept, cloud), audit=WHOLE | {"entries": 3}) == 1


@pytest.mark.parametrize("audit", [{"whole": False, "entries": 2}, {"whole": True, "entries": 1}, {}])
def test_an_audit_log_that_is_not_whole_or_not_the_one_is_told(audit: dict[str, Any]) -> None:
    assert failed(books(), audit=audit) == 1


def test_a_second_opinion_that_rest_does_not_list_is_told() -> None:
    rest = Kept({FIRST: "done", SENT: "done"}, {FIRST: "a", SENT: "b"}, [])
    assert failed(books(), rest=rest) == 1


def test_what_callers_asked_for_and_second_opinions_are_counted_apart() -> None:
    kept, cloud = books()
    assert firsts(kept, cloud).files == {FIRST: "a", SENT: "b"}
    assert firsts(kept, cloud).keys == {FIRST: "photo-1", SENT: "photo-2"}
    assert seconds(kept, cloud).states == {OPINION: "done"}


def test_the_books_are_read_from_the_database_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hedgerow.db'}"
    database = open_database(url)
    first, job = new_job(), replace(new_job(key="opinion"), tier="cloud", why="audit")
    job = replace(job, opinion_on=first.id)
    store, analyses, log = SqlJobStore(database), SqlAnalysisStore(database), SqlAuditLog(database)
    media = {"sha256": "0a" * 32}
    asked = {"tier": "edge", "second_opinion": {"job": job.id}}
    analyses.add([replace(sample(first.id), media=media, provenance=asked)])
    store.submit(job)
    (claimed,) = store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=1, tier="cloud")
    for _ in range(2):
        log.append(Departure(NOON, "clinic", first.id, "0b" * 32, 9, "jpeg", "audit", "file:///objects", ("metadata-stripped",)))
    store.complete(claimed, replace(sample(job.id), media=media, provenance={"tier": "cloud", "opinion_on": first.id}))
    database.close()
    cloud = cloud_in_database(url)
    assert cloud == CloudKept(
        {job.id: "cloud"}, {job.id: "audit"}, {job.id: first.id}, {first.id: "edge", job.id: "cloud"}, {job.id: first.id},
        {first.id: job.id}, {first.id: 2},
    )
    told = cloud_tally(in_database(url), cloud)
    assert (told.asked, told.answered, told.again, told.unentered) == (1, 1, 1, 0)
