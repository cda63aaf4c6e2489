"""Jobs to store, and the analyses that they give."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert

from gateway.service.jobs.records import Delivery, Job, JobPriority
from gateway.service.records import Analysis, new_id
from gateway.store.database import Database
from gateway.store.jobs import SqlJobStore, _to_row
from gateway.store.schema import jobs
from tests.gateway.store.samples import NOON, id_at, sample

LEASE_S = 30.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def move(self, seconds: float) -> datetime:
        """Moves it; gives the time then."""
        self.now += timedelta(seconds=seconds)
        return self.now


def new_job(
    tenant: str = "clinic", *, at: datetime = NOON, number: int | None = None, priority: JobPriority = "interactive",
    key: str = "", mission: str = "", expires_at: datetime | None = None, fingerprint: str = "f" * 64,
) -> Job:
    """A job with everything in it that was just accepted; `number` orders those of one millisecond."""
    return Job(
        id=new_id() if number is None else id_at(at, number),
        tenant=tenant,
        domain="pathology",
        parameters={"exam": "breast_ultrasound", "odd": "Brüche \U0001f33f \x00 \ud800"},
        request_id="request-1",
        size_bytes=5_000_000_000,
        sha256="0a" * 32,
        fingerprint=fingerprint,
        created_at=at,
        updated_at=at,
        not_before=at,
        priority=priority,
        expires_at=expires_at,
        mission=mission,
        key=key,
        callback={"url": "https://clinic.example/results", "secret": "clinic-1"},
    )


def analysis_of(job: Job) -> Analysis:
    """The answer to a job."""
    return sample(job.id, tenant=job.tenant)


def new_delivery(job: Job, *, number: int = 0, at: datetime = NOON) -> Delivery:
    """The delivery of its result, not sent yet."""
    return Delivery(
        id=id_at(at, number), job_id=job.id, tenant=job.tenant, url="https://clinic.example/results",
        created_at=at, updated_at=at, not_before=at,
    )


def submit_all(database: Database, made: Iterable[Job]) -> list[Job]:
    """Stores many at once, as so many submissions would."""
    stored = list(made)
    with database.writing() as connection:
        connection.execute(insert(jobs), [_to_row(job) for job in stored])
    return stored


def claim_one(store: SqlJobStore, owner: str = "gateway-1", now: datetime = NOON) -> Job:
    """The next job."""
    (claimed,) = store.claim(owner, now, lease_s=LEASE_S, limit=1)
    return claimed


def claimed_by(job: Job, owner: str, now: datetime, *, turn: int, attempts: int = 1) -> Job:
    """The same job as it is once it was claimed."""
    return replace(
        job, state=job.state.RUNNING, owner=owner, attempts=attempts, turn=turn, updated_at=now,
        not_before=now + timedelta(seconds=LEASE_S),
    )


def ids(found: Sequence[Job]) -> list[str]:
    """Their ids, in order."""
    return [job.id for job in found]
