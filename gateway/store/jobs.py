"""Jobs in a database. Who is given which job stands in job_claims.py."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Insert, Row, TextClause, delete, func, insert, or_, select, update

from gateway.service.jobs.ports import JobStore
from gateway.service.jobs.records import (
    EXPIRED,
    Delivery,
    Job,
    JobCounts,
    JobFilter,
    JobState,
    Submission,
    Tier,
)
from gateway.service.records import Analysis, JsonObject
from gateway.service.routing.rules import Usage
from gateway.store.analyses import to_row as analysis_row
from gateway.store.clock import Clock, utc_now
from gateway.store.database import Database
from gateway.store.deliveries import add_deliveries
from gateway.store.job_claims import claim_rows
from gateway.store.schema import CLOUD_JOB, FINISHED_JOB, OPEN_JOB, analyses
from gateway.store.schema import jobs as table
from gateway.store.texts import storable
from gateway.store.uuid7 import check_bound, check_id, is_id


class SqlJobStore(JobStore):
    """Jobs in SQLite or PostgreSQL; safe for any number of threads and processes.

    Every method but the listings is one transaction, and each change of a job one UPDATE that says what the job must
    still be: nothing is read first and written later.
    """

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        """`clock` gives `updated_at`, and when a job that was taken back may be tried."""
        self._database = database
        self._clock = clock

    def submit(self, job: Job) -> Submission:
        """Raises ValueError for a job that isn't new, sqlalchemy.exc.IntegrityError where its id is taken."""
        if (job.state, job.attempts, job.owner, job.turn) != (JobState.QUEUED, 0, "", 0):
            raise ValueError("a job that is submitted must be queued, and nobody's yet")
        same_key = (table.c.tenant == job.tenant) & (table.c.key == job.key)
        with self._database.writing() as connection:
            new = _insert_unless_key_is_taken(connection).values(_to_row(job)).returning(table.c.id)
            while connection.execute(new).one_or_none() is None:
                holder = connection.execute(select(table).where(same_key)).one_or_none()
                if holder is not None:  # else it was deleted between the two statements
                    return Submission(_from_row(holder), is_new=False)
        return Submission(job, is_new=True)

    def claim(self, owner: str, now: datetime, *, lease_s: float, limit: int, tier: Tier = "edge") -> Sequence[Job]:
        """Raises ValueError where `owner` is empty or `limit` isn't positive."""
        if not owner or limit < 1:
            raise ValueError("a claim needs an owner, and a limit of at least one")
        with self._database.writing() as connection:
            rows = claim_rows(connection, owner, now, lease_s=lease_s, limit=limit, tier=tier)
            return [_from_row(row) for row in rows]

    def renew(self, held: Collection[Job], until: datetime) -> frozenset[str]:
        """One transaction, an UPDATE a job."""
        with self._database.writing() as connection:
            renewals = ((job.id, update(table).where(_is_held(job)).values(not_before=until)) for job in held)
            return frozenset(job_id for job_id, renewal in renewals if connection.execute(renewal).rowcount == 1)

    def report(self, job: Job, progress: JsonObject) -> bool:
        """Takes the place of what was reported before."""
        with self._database.writing() as connection:
            return self._change(connection, job, progress=dict(progress))

    def complete(self, job: Job, analysis: Analysis, *, deliveries: Sequence[Delivery] = ()) -> bool:
        """Raises ValueError where the analysis has another id or tenant than the job."""
        if (analysis.id, analysis.tenant) != (job.id, job.tenant):
            raise ValueError("the analysis is another job's")
        row = analysis_row(analysis)
        with self._database.writing() as connection:
            ended = self._change(connection, job, state=JobState.DONE, owner="", error_code="", error_message="")
            if ended:
                connection.execute(insert(analyses), row)
                add_deliveries(connection, deliveries)
            return ended

    def release(self, job: Job, not_before: datetime, code: str, message: str, *, counts: bool = True) -> bool:
        """The job waits in its old place: its tenant's oldest go first."""
        with self._database.writing() as connection:
            return self._change(
                connection, job,
                state=JobState.QUEUED, owner="", not_before=not_before, error_code=code, error_message=storable(message),
                attempts=job.attempts - (not counts),
            )

    def hand_over(self, job: Job, tier: Tier, why: str, expires_at: datetime | None) -> bool:
        """The job waits in its old place."""
        with self._database.writing() as connection:
            return self._change(
                connection, job, state=JobState.QUEUED, owner="", not_before=self._clock(), attempts=0, tier=tier, why=why,
                expires_at=expires_at, error_code="", error_message="",
            )

    def fail(
        self, job: Job, code: str, message: str, *, parameter: str = "", deliveries: Sequence[Delivery] = ()
    ) -> bool:
        """Deliveries are stored in the same transaction."""
        with self._database.writing() as connection:
            ended = self._change(
                connection, job,
                state=JobState.FAILED, owner="", error_code=code, error_message=storable(message), error_parameter=parameter,
            )
            if ended:
                add_deliveries(connection, deliveries)
            return ended

    def cancel(self, tenant: str, job_id: str) -> Job | None:
        """None also for a text that is no id at all."""
        return self._change_own(tenant, job_id, OPEN_JOB, state=JobState.CANCELLED, owner="")

    def retry(self, tenant: str, job_id: str) -> Job | None:
        """None also for a text that is no id at all."""
        return self._change_own(
            tenant, job_id, table.c.state == JobState.FAILED,
            state=JobState.QUEUED, attempts=0, not_before=self._clock(), expires_at=None, error_code="", error_message="",
            error_parameter="",
        )

    def get(self, tenant: str, job_id: str) -> Job | None:
        """None also for a text that is no id at all."""
        if not is_id(job_id):
            return None
        with self._database.reading() as connection:
            return _find(connection, tenant, job_id)

    def page(self, tenant: str, chosen: JobFilter, *, before_id: str | None, limit: int) -> Sequence[Job]:
        """Raises ValueError where `before_id` is no UUID."""
        conditions = [table.c.tenant == tenant]
        if chosen.state is not None:
            conditions.append(table.c.state == chosen.state)
        if chosen.mission is not None:
            conditions.append(table.c.mission == chosen.mission)
        if before_id is not None:
            conditions.append(table.c.id < check_bound(before_id))
        newest_first = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(newest_first)]

    def counts(self, tenant: str | None) -> JobCounts:
        """Walks the index over every job of the tenant, or of all."""
        of_tenant = [] if tenant is None else [table.c.tenant == tenant]
        queued = select(func.min(table.c.created_at)).where(OPEN_JOB, table.c.state == JobState.QUEUED, *of_tenant)
        with self._database.reading() as connection:
            return JobCounts(_count(connection, *of_tenant), connection.execute(queued).scalar_one())

    def mission(self, tenant: str, mission: str) -> Mapping[JobState, int]:
        """Reads every job of the batch."""
        with self._database.reading() as connection:
            return _count(connection, table.c.tenant == tenant, table.c.mission == mission)

    def used(self, tenant: str, domain: str, since: datetime) -> Usage:
        """Walks the index over the tenant's jobs for the cloud since then."""
        total = select(func.count(), func.coalesce(func.sum(table.c.size_bytes), 0)).where(
            CLOUD_JOB, table.c.tenant == tenant, table.c.created_at >= since, table.c.state != JobState.CANCELLED
        )
        if domain:
            total = total.where(table.c.domain == domain)
        with self._database.reading() as connection:
            answers, size_bytes = connection.execute(total).one()
            return Usage(answers, int(size_bytes))

    def unanswered(self, job_ids: Collection[str]) -> frozenset[str]:
        """By primary key."""
        states = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)
        chosen = select(table.c.id).where(table.c.id.in_(job_ids), table.c.state.in_(states))
        with self._database.reading() as connection:
            return frozenset(connection.execute(chosen).scalars())

    def expire(
        self, now: datetime, *, limit: int, deliveries: Callable[[Job], Sequence[Delivery]] = lambda _: ()
    ) -> Sequence[Job]:
        """Those that are over longest go first."""
        nobodys = or_(table.c.state == JobState.QUEUED, table.c.not_before <= now)
        over = select(table.c.id).where(OPEN_JOB, table.c.expires_at <= now, nobodys)
        over = over.order_by(table.c.expires_at).limit(limit).with_for_update(skip_locked=True)
        ended = update(table).where(table.c.id.in_(select(over.cte("over_now").c.id))).values(
            state=JobState.FAILED, owner="", updated_at=now, error_code=EXPIRED,
            error_message="its time was over before it could be answered",
        )
        with self._database.writing() as connection:
            expired = [_from_row(row) for row in connection.execute(ended.returning(table))]
            add_deliveries(connection, [delivery for job in expired for delivery in deliveries(job)])
            return expired

    def delete_finished(self, before: datetime, *, limit: int) -> Sequence[str]:
        """Where two processes clean up at once, each takes other rows (PostgreSQL; SQLite has one writer)."""
        oldest = select(table.c.id).where(FINISHED_JOB, table.c.updated_at < before)
        oldest = oldest.order_by(table.c.updated_at, table.c.id).limit(limit).with_for_update(skip_locked=True)
        removal = delete(table).where(table.c.id.in_(select(oldest.cte("oldest").c.id)))
        with self._database.writing() as connection:
            removed = connection.execute(removal.returning(table.c.updated_at, table.c.id))
            return [job_id for _, job_id in sorted(removed)]

    def _change(self, connection: Connection, job: Job, **values: object) -> bool:
        """Whether the holder of `job` still holds it; then it is changed."""
        changed = update(table).where(_is_held(job)).values(updated_at=self._clock(), **values)
        return connection.execute(changed).rowcount == 1

    def _change_own(self, tenant: str, job_id: str, condition: ColumnElement[bool] | TextClause, **values: object) -> Job | None:
        if not is_id(job_id):
            return None
        own = update(table).where(table.c.id == job_id, table.c.tenant == tenant, condition)
        with self._database.writing() as connection:
            changed = connection.execute(own.values(updated_at=self._clock(), **values).returning(table)).one_or_none()
            return _find(connection, tenant, job_id) if changed is None else _from_row(changed)


def _is_held(job: Job) -> ColumnElement[bool]:
    return (
        (table.c.id == job.id)
        & (table.c.state == JobState.RUNNING)
        & (table.c.owner == job.owner)
        & (table.c.turn == job.turn)
    )


def _find(connection: Connection, tenant: str, job_id: str) -> Job | None:
    row = connection.execute(select(table).where(table.c.id == job_id, table.c.tenant == tenant)).one_or_none()
    return None if row is None else _from_row(row)


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> dict[JobState, int]:
    counted = select(table.c.state, func.count()).where(*conditions).group_by(table.c.state)
    found = {JobState(state): number for state, number in connection.execute(counted)}
    return {state: found.get(state, 0) for state in JobState}


def _insert_unless_key_is_taken(connection: Connection) -> Insert:
    """The two databases say the same in the same words, SQLAlchemy has a class for each."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing(index_elements=[table.c.tenant, table.c.key])
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing(index_elements=[table.c.tenant, table.c.key])


def _to_row(job: Job) -> dict[str, object]:
    row = {field.name: getattr(job, field.name) for field in fields(job)}
    return {
        **row,
        "id": check_id(job.id),
        "key": job.key or None,
        "parameters": dict(job.parameters),
        "progress": dict(job.progress),
        "callback": None if job.callback is None else dict(job.callback),
        "consents": list(job.consents),
    }


def _from_row(row: Row[*tuple[object, ...]]) -> Job:
    values = {field.name: getattr(row, field.name) for field in fields(Job)}
    return Job(**{**values, "state": JobState(row.state), "key": row.key or "", "consents": tuple(row.consents)})
