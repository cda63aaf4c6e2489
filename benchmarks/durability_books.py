"""What benchmarks/durability.py judges by: what clients were told, what REST lists, and what the database has."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import create_engine, text

from benchmarks.stream_runs import Verdict

PAGE = 200


@dataclass(slots=True)
class Letter:
    """One file under one key, and what its sender was told of it, over all copies and tries."""

    key: str
    payload: bytes
    sha256: str
    copies: int = 1
    path: str = ""
    """Where it is sent; the senders' own place where left out."""
    job_ids: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    """Codes of answers that ask to come again later."""
    broken: int = 0
    """Tries whose connection couldn't be made or broke."""
    strange: list[str] = field(default_factory=list)
    """Answers that a sender can do nothing with."""


class Kept(msgspec.Struct):
    """What is there at the end. `states`: of each job by its id; `files`: the SHA-256 of what each analysis is of, by its id;
    `failures`: codes of jobs that failed. Only the database tells the `keys` of jobs and how often each was tried (`attempts`).
    """

    states: dict[str, str]
    files: dict[str, str]
    failures: list[str]
    keys: dict[str, str] = {}
    attempts: dict[str, int] = {}


class Tally(msgspec.Struct):
    """One line of the table. `recovery_s`: from the moment that what had failed was there again until all was as it should."""

    accepted: int
    answered: int
    lost: int
    double: int
    refused: int
    recovery_s: float | None = None


def over_rest(client: httpx.Client) -> Kept:
    """Every job and analysis that the key's tenant can list."""
    jobs, analyses = _all_pages(client, "jobs"), _all_pages(client, "analyses")
    return Kept(
        {job["id"]: job["state"] for job in jobs},
        {analysis["id"]: analysis["media"]["sha256"] for analysis in analyses},
        sorted(job["error"]["code"] for job in jobs if job["state"] == "failed"),
    )


def in_database(url: str) -> Kept:
    """The rows themselves, in plain SQL and without a line of the gateway's."""
    engine = create_engine(url)
    with engine.connect() as connection:
        jobs = connection.execute(text("SELECT id, state, key, attempts, error_code FROM jobs")).all()
        analyses = connection.execute(text("SELECT id, media FROM analyses")).all()
    engine.dispose()
    return Kept(
        {_id(job.id): job.state for job in jobs},
        {_id(row.id): (json.loads(row.media) if isinstance(row.media, str) else row.media)["sha256"] for row in analyses},
        sorted(job.error_code for job in jobs if job.state == "failed"),
        {_id(job.id): job.key or "" for job in jobs},
        {_id(job.id): job.attempts for job in jobs},
    )


def tally(letters: Collection[Letter], kept: Kept, recovery_s: float | None) -> Tally:
    """Holds what the senders were told against what the database has. A letter is answered where it has one job, that job
    is done and has one analysis, and the analysis is of the letter's file. Double is each job and each analysis too many.
    """
    accepted = [letter for letter in letters if letter.job_ids]
    answered = sum(_is_answered(letter, kept) for letter in accepted)
    told_twice = sum(len(letter.job_ids) - 1 for letter in accepted)
    jobs_too_many = len(kept.keys) - len(set(kept.keys.values()))
    files = {letter.sha256: sum(other == letter.sha256 for other in kept.files.values()) for letter in letters}
    analyses_too_many = sum(max(0, count - 1) for count in files.values())
    return Tally(
        len(accepted), answered, len(accepted) - answered, max(told_twice, jobs_too_many, analyses_too_many),
        sum(len(letter.refusals) for letter in letters), recovery_s,
    )


def verdicts(letters: Collection[Letter], told: Tally, rest: Kept, kept: Kept) -> list[Verdict]:
    """What every scenario must show."""
    strange = sorted({answer for letter in letters for answer in letter.strange})
    alike = (rest.states, rest.files) == (kept.states, kept.files)
    unasked = set(kept.keys.values()) - {letter.key for letter in letters}
    stray = kept.files.keys() - kept.states.keys()
    return [
        Verdict(f"all {len(letters)} are accepted", f"{told.accepted}", told.accepted == len(letters)),
        Verdict("none lost: each has its answer, which is of the file that was sent", _lost(told, kept), told.lost == 0),
        Verdict("none double", f"{told.double}", told.double == 0),
        Verdict("no job and no analysis that nobody asked for", f"{len(unasked)} and {len(stray)}", not (unasked or stray)),
        Verdict("REST lists what the database has", _difference(rest, kept), alike),
        Verdict("every refusal says what to do", ", ".join(strange) or "yes", not strange),
    ]


def counted(words: Iterable[str]) -> dict[str, int]:
    """How often each is there."""
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))


def _is_answered(letter: Letter, kept: Kept) -> bool:
    if len(letter.job_ids) != 1:
        return False
    (job_id,) = letter.job_ids
    return (kept.states.get(job_id), kept.keys.get(job_id), kept.files.get(job_id)) == ("done", letter.key, letter.sha256)


def _lost(told: Tally, kept: Kept) -> str:
    failed = f", failed: {counted(kept.failures)}" if kept.failures else ""
    return f"{told.lost} lost, jobs {counted(kept.states.values())}{failed}"


def _difference(rest: Kept, kept: Kept) -> str:
    def count(one: Mapping[str, str], other: Mapping[str, str]) -> int:
        return len(set(one.items()) ^ set(other.items()))

    jobs, files = count(rest.states, kept.states), count(rest.files, kept.files)
    return f"{len(rest.states)} jobs, {len(rest.files)} analyses; {jobs} and {files} differences"


def _all_pages(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = client.get(f"/v1/{name}", params={"limit": PAGE, **cursor})
        response.raise_for_status()
        page = response.json()
        found += page[name]
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _id(stored: object) -> str:
    """SQLite has 32 digits, PostgreSQL a UUID."""
    return str(UUID(str(stored)))
