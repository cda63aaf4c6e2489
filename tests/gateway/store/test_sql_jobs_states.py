"""Any order of events, against a model of the state diagram that fits in a dictionary."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from gateway.service.jobs.records import Job, JobState
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from gateway.store.jobs import SqlJobStore
from gateway.store.schema import analyses, jobs
from tests.gateway.store.job_samples import LEASE_S, Clock, analysis_of, new_job

TENANTS = st.sampled_from(["clinic", "farm"])
ANY = st.integers(0, 1000)
"""Names one of those that are there, by its remainder."""


@dataclass
class Known:
    """What the model knows of a job."""

    tenant: str
    key: str
    not_before: datetime
    changed: datetime
    expires_at: datetime | None
    state: JobState = JobState.QUEUED
    attempts: int = 0
    lease: int = 0
    """The number of its last lease, by the model's own count."""


class AnyOrder(RuleBasedStateMachine):
    """Submits, claims and ends jobs, with leases old and new."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        with self.database.writing() as connection:
            for table in (jobs, analyses):
                connection.execute(delete(table))
        self.clock = Clock()
        self.store = SqlJobStore(self.database, clock=self.clock)
        self.analyses = SqlAnalysisStore(self.database)
        self.known: dict[str, Known] = {}
        self.leases: list[tuple[Job, int]] = []
        self.answered: set[tuple[str, str]] = set()

    @rule(tenant=TENANTS, key=st.sampled_from(["", "k"]), lives=st.sampled_from([None, 40]), batch=st.booleans())
    def submit(self, tenant: str, key: str, lives: int | None, batch: bool) -> None:
        """A new job, or the one that has its key."""
        now = self.clock.now
        expires_at = None if lives is None else now + timedelta(seconds=lives)
        job = new_job(tenant, at=now, key=key, priority="batch" if batch else "interactive", expires_at=expires_at)
        holders = [job_id for job_id, known in self.known.items() if key and (known.tenant, known.key) == (tenant, key)]
        submission = self.store.submit(job)
        assert submission.is_new is (not holders)
        if holders:
            assert [submission.job.id] == holders
        else:
            self.known[job.id] = Known(tenant, key, now, now, job.expires_at)

    @rule(seconds=st.sampled_from([1, 20, 31]))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.clock.move(seconds)

    @rule(owner=st.sampled_from(["gateway-1", "gateway-2"]), limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        """As many as are due, no more than asked for."""
        now = self.clock.now
        due = {job_id for job_id, known in self.known.items() if self._is_due(known)}
        claimed = self.store.claim(owner, now, lease_s=LEASE_S, limit=limit)
        assert len({job.id for job in claimed}) == len(claimed) == min(limit, len(due))
        assert {job.id for job in claimed} <= due
        for job in claimed:
            known = self.known[job.id]
            known.state, known.not_before, known.changed = JobState.RUNNING, now + timedelta(seconds=LEASE_S), now
            known.attempts += 1
            known.lease += 1
            self.leases.append((job, known.lease))

    @rule(which=ANY)
    def complete(self, which: int) -> None:
        """Only the last lease counts."""
        if self.leases:
            job, holds = self._lease(which)
            assert self.store.complete(job, analysis_of(job)) is holds
            if holds:
                self._end(job, JobState.DONE)
                self.answered.add((job.tenant, job.id))

    @rule(which=ANY)
    def fail(self, which: int) -> None:
        """A dead letter."""
        if self.leases:
            job, holds = self._lease(which)
            assert self.store.fail(job, "INTERNAL", "broken") is holds
            if holds:
                self._end(job, JobState.FAILED)

    @rule(which=ANY, pause=st.sampled_from([0, 5, 60]))
    def release(self, which: int, pause: int) -> None:
        """Tried again later."""
        if self.leases:
            job, holds = self._lease(which)
            then = self.clock.now + timedelta(seconds=pause)
            assert self.store.release(job, then, "UNAVAILABLE", "no node") is holds
            if holds:
                self._end(job, JobState.QUEUED)
                self.known[job.id].not_before = then

    @rule(which=ANY)
    def renew(self, which: int) -> None:
        """The lease goes on."""
        if self.leases:
            job, holds = self._lease(which)
            until = self.clock.now + timedelta(seconds=LEASE_S)
            assert self.store.renew([job], until) == ({job.id} if holds else set())
            if holds:
                self.known[job.id].not_before = until

    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        """Open ones only."""
        if self.known:
            job_id, known = self._any(which)
            told = self.store.cancel(known.tenant, job_id)
            if known.state in {JobState.QUEUED, JobState.RUNNING}:
                known.state, known.changed = JobState.CANCELLED, self.clock.now
            assert told is not None
            assert told.state is known.state

    @rule(which=ANY)
    def retry(self, which: int) -> None:
        """Dead letters only."""
        if self.known:
            job_id, known = self._any(which)
            told = self.store.retry(known.tenant, job_id)
            if known.state is JobState.FAILED:
                known.state, known.attempts, known.expires_at = JobState.QUEUED, 0, None
                known.not_before = known.changed = self.clock.now
            assert told is not None
            assert told.state is known.state

    @rule()
    def expire(self) -> None:
        """Those that nobody holds and nobody wants."""
        now = self.clock.now
        over = {
            job_id for job_id, known in self.known.items()
            if known.expires_at is not None and known.expires_at <= now
            and (known.state is JobState.QUEUED or (known.state is JobState.RUNNING and known.not_before <= now))
        }
        assert {job.id for job in self.store.expire(now, limit=99)} == over
        for job_id in over:
            self.known[job_id].state, self.known[job_id].changed = JobState.FAILED, now

    @rule()
    def delete_finished(self) -> None:
        """Those that were over before now."""
        final = {JobState.DONE, JobState.FAILED, JobState.CANCELLED}
        gone = {job_id for job_id, known in self.known.items() if known.state in final and known.changed < self.clock.now}
        assert set(self.store.delete_finished(self.clock.now, limit=99)) == gone
        for job_id in gone:
            del self.known[job_id]

    @invariant()
    def the_store_knows_what_the_model_knows(self) -> None:
        """States, attempts, counts and answers."""
        for job_id, known in self.known.items():
            job = self.store.get(known.tenant, job_id)
            assert job is not None
            assert (job.state, job.attempts, job.not_before) == (known.state, known.attempts, known.not_before)
            assert bool(job.owner) is (known.state is JobState.RUNNING)
        states = [known.state for known in self.known.values()]
        assert self.store.counts(None).states == {state: states.count(state) for state in JobState}
        for tenant, job_id in self.answered:
            assert self.analyses.get(tenant, job_id) is not None

    def _is_due(self, known: Known) -> bool:
        now = self.clock.now
        is_open = known.state in {JobState.QUEUED, JobState.RUNNING}
        return is_open and known.not_before <= now and (known.expires_at is None or known.expires_at > now)

    def _any(self, which: int) -> tuple[str, Known]:
        return list(self.known.items())[which % len(self.known)]

    def _lease(self, which: int) -> tuple[Job, bool]:
        job, number = self.leases[-1 - which % len(self.leases)]
        known = self.known.get(job.id)
        return job, known is not None and known.state is JobState.RUNNING and known.lease == number

    def _end(self, job: Job, state: JobState) -> None:
        self.known[job.id].state, self.known[job.id].changed = state, self.clock.now


def test_any_order_of_events_follows_the_state_diagram(database: Database) -> None:
    class OnThisDatabase(AnyOrder):
        """The machine, on the database of this run."""

    OnThisDatabase.database = database
    run_state_machine_as_test(OnThisDatabase, settings=settings(
        max_examples=20, stateful_step_count=40, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    ))
