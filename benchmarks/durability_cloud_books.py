"""What the cloud scenarios of benchmarks/durability.py judge by: which tier answered what, who looked a second time, and what
the audit log says of it. Read in plain SQL, without a line of the gateway's.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import create_engine, text

from benchmarks.durability_books import Kept, counted
from benchmarks.stream_runs import Verdict

CLOUD = "cloud"


class CloudKept(msgspec.Struct):
    """`tiers` and `whys` of jobs; `opinions`: on which analysis each job that is a second opinion is; `answered_by`: the tier
    that made each analysis, and `on`: on which other one it is; `promised`: the job that each analysis names for its second
    opinion; `left`: how many entries the audit log has of each analysis.
    """

    tiers: dict[str, str]
    whys: dict[str, str]
    opinions: dict[str, str]
    answered_by: dict[str, str]
    on: dict[str, str]
    promised: dict[str, str]
    left: dict[str, int]


class CloudTally(msgspec.Struct):
    """`asked`: jobs for the cloud, of which `second_opinions`; `answered`: those that are done, with one analysis, made by the
    cloud, of the right file, on the right analysis; `double`: second opinions too many; `unasked`: those that no analysis names;
    `departures`: entries of the audit log; `again`: those of them that aren't the first of their analysis.
    """

    asked: int
    second_opinions: int
    answered: int
    lost: int
    double: int
    unasked: int
    departures: int
    again: int
    unentered: int
    """Analyses of the cloud that the audit log doesn't know."""


def cloud_in_database(url: str) -> CloudKept:
    """The rows themselves."""
    engine = create_engine(url)
    with engine.connect() as connection:
        jobs = connection.execute(text("SELECT id, tier, why, opinion_on FROM jobs")).all()
        analyses = connection.execute(text("SELECT id, provenance FROM analyses")).all()
        entries = connection.execute(text("SELECT analysis_id FROM audit_log")).all()
    engine.dispose()
    told = {_id(row.id): _document(row.provenance) for row in analyses}
    promised = {own: (found.get("second_opinion") or {}).get("job") for own, found in told.items()}
    return CloudKept(
        {_id(job.id): job.tier for job in jobs},
        {_id(job.id): job.why for job in jobs},
        {_id(job.id): job.opinion_on for job in jobs if job.opinion_on},
        {own: str(found["tier"]) for own, found in told.items()},
        {own: str(found["opinion_on"]) for own, found in told.items() if found.get("opinion_on")},
        {own: str(job) for own, job in promised.items() if job},
        counted(entry.analysis_id for entry in entries),
    )


def firsts(kept: Kept, cloud: CloudKept) -> Kept:
    """Without second opinions: what callers asked for themselves."""
    return _part(kept, {own for own in kept.states.keys() | kept.files.keys() if own not in cloud.opinions})


def seconds(kept: Kept, cloud: CloudKept) -> Kept:
    """Second opinions alone."""
    return _part(kept, set(cloud.opinions))


def cloud_tally(kept: Kept, cloud: CloudKept) -> CloudTally:
    """Holds jobs for the cloud, and promises of second opinions, against what came of them."""
    asked = {own for own, tier in cloud.tiers.items() if tier == CLOUD} | set(cloud.promised.values())
    answered = {own for own in asked if _is_answered(own, kept, cloud)}
    by_cloud = {own for own, tier in cloud.answered_by.items() if tier == CLOUD}
    departures = sum(cloud.left.values())
    return CloudTally(
        asked=len(asked),
        second_opinions=len(cloud.opinions),
        answered=len(answered),
        lost=len(asked - answered),
        double=len(cloud.opinions) - len(set(cloud.opinions.values())),
        unasked=sum(cloud.promised.get(first) != own for own, first in cloud.opinions.items()),
        departures=departures,
        again=departures - len(cloud.left),
        unentered=sum(cloud.left.get(cloud.on.get(own, own), 0) == 0 for own in by_cloud),
    )


def cloud_verdicts(told: CloudTally, rest: Kept, kept: Kept, cloud: CloudKept, audit: Mapping[str, Any]) -> list[Verdict]:
    """What every scenario in which the cloud answers must show. `audit`: what `hedgerow audit verify --json` said."""
    alike = (seconds(rest, cloud).states, seconds(rest, cloud).files) == (seconds(kept, cloud).states, seconds(kept, cloud).files)
    whole = audit.get("whole") is True and audit.get("entries") == told.departures
    return [
        Verdict("each job for the cloud has one analysis, made by the cloud, of the file that was sent",
                f"{told.answered} of {told.asked}, {told.lost} lost", told.asked > 0 and told.lost == 0),
        Verdict("none looks a second time twice, or unasked", f"{told.double} and {told.unasked}",
                not (told.double or told.unasked)),
        Verdict("REST lists the second opinions that the database has", f"{len(seconds(rest, cloud).states)}", alike),
        Verdict("the audit log is whole", f"{audit.get('entries')} entries" if whole else f"{dict(audit)}", whole),
        Verdict("it has an entry at least for each analysis of the cloud", f"{told.unentered} without", told.unentered == 0),
    ]


def _is_answered(own: str, kept: Kept, cloud: CloudKept) -> bool:
    """A second opinion must be of the very file, and on the very analysis, that its job says."""
    if kept.states.get(own) != "done" or cloud.answered_by.get(own) != CLOUD:
        return False
    first = cloud.opinions.get(own, "")
    return cloud.on.get(own, "") == first and (not first or kept.files.get(first) == kept.files.get(own))


def _part(kept: Kept, own: set[str]) -> Kept:
    return Kept(
        {job: state for job, state in kept.states.items() if job in own},
        {analysis: file for analysis, file in kept.files.items() if analysis in own},
        kept.failures,
        {job: key for job, key in kept.keys.items() if job in own},
        {job: attempts for job, attempts in kept.attempts.items() if job in own},
    )


def _document(stored: object) -> dict[str, Any]:
    """SQLite has JSON as text."""
    found: dict[str, Any] = json.loads(stored) if isinstance(stored, str) else dict(stored)  # type: ignore[call-overload]
    return found


def _id(stored: object) -> str:
    return str(UUID(str(stored)))
