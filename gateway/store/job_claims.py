"""Who is given which job next; the rules stand at JobStore.claim.

Every claim has a number, one above the highest so far of its tier, and a job keeps the number of its last claim (`turn`). So the
table itself tells when each tenant was served last, and which claims are the batch jobs' own, whatever process asks. Two
claims that PostgreSQL runs at once may have the same number; nothing but their order hangs on that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, or_, select, update

from gateway.service.jobs.records import JobPriority, JobState, Tier
from gateway.store.schema import OPEN_JOB
from gateway.store.schema import jobs as table

BATCH_FIRST_EVERY = 4
"""One claim in so many looks at batch jobs first."""

_Rows = list[Row[*tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class _Claim:
    tier: Tier
    owner: str
    now: datetime
    until: datetime
    number: int

    def order(self) -> tuple[JobPriority, JobPriority]:
        return ("batch", "interactive") if self.number % BATCH_FIRST_EVERY == 0 else ("interactive", "batch")


def claim_rows(
    connection: Connection, owner: str, now: datetime, *, lease_s: float, limit: int, tier: Tier
) -> _Rows:
    """Claims, inside the transaction that `connection` is in; gives the rows as they are then, in the order of taking."""
    number = connection.execute(select(func.coalesce(func.max(table.c.turn), 0)).where(table.c.tier == tier)).scalar_one() + 1
    claim = _Claim(tier, owner, now, now + timedelta(seconds=lease_s), number)
    taken: _Rows = []
    for priority in claim.order():
        if len(taken) < limit:
            taken += _take_evenly(connection, claim, priority, limit - len(taken))
    return taken


def _take_evenly(connection: Connection, claim: _Claim, priority: JobPriority, limit: int) -> _Rows:
    """An even share for each tenant that waits; what some can't use goes to those that could use more."""
    tenants = _waiting_tenants(connection, claim, priority)
    taken: _Rows = []
    want_more: list[str] = []
    for position, tenant in enumerate(tenants):
        share = ceil((limit - len(taken)) / (len(tenants) - position))
        found = _take(connection, claim, priority, tenant, share)
        taken += found
        if len(taken) == limit:
            return taken
        if len(found) == share:
            want_more.append(tenant)
    for tenant in want_more:
        taken += _take(connection, claim, priority, tenant, limit - len(taken))
        if len(taken) == limit:
            break
    return taken


def _waiting_tenants(connection: Connection, claim: _Claim, priority: JobPriority) -> Sequence[str]:
    """Those that have jobs that are due, who was served longest ago first. Leaps from tenant to tenant through the index,
    so that it costs the same whether one has a thousand jobs that are due or one; those that wait for their next try are
    passed by in the index, older ones each time.
    """
    open_jobs = (OPEN_JOB, table.c.tier == claim.tier, table.c.priority == priority)
    waiting = select(func.min(table.c.tenant).label("tenant")).where(*open_jobs).cte("waiting", recursive=True)
    following = select(func.min(table.c.tenant)).where(*open_jobs, table.c.tenant > waiting.c.tenant)
    following_one = following.correlate(waiting).scalar_subquery()
    waiting = waiting.union_all(select(following_one).select_from(waiting).where(waiting.c.tenant.is_not(None)))
    last_turn = select(func.max(table.c.turn)).where(
        table.c.tier == claim.tier, table.c.priority == priority, table.c.tenant == waiting.c.tenant
    )
    last_turn_of_each = last_turn.correlate(waiting).scalar_subquery()
    oldest_of_each = _oldest_due(claim, priority, waiting.c.tenant, 1).correlate(waiting).scalar_subquery()
    ordered = select(waiting.c.tenant, oldest_of_each.label("oldest")).where(waiting.c.tenant.is_not(None))
    ordered = ordered.order_by(last_turn_of_each, "oldest")
    return [tenant for tenant, oldest in connection.execute(ordered) if oldest is not None]


def _take(connection: Connection, claim: _Claim, priority: JobPriority, tenant: str, limit: int) -> _Rows:
    """The tenant's oldest jobs that are due, but for those that another claim is just taking."""
    oldest = _oldest_due(claim, priority, tenant, limit).with_for_update(skip_locked=True).cte("oldest")
    taken = update(table).where(table.c.id.in_(select(oldest.c.id))).values(
        state=JobState.RUNNING,
        owner=claim.owner,
        not_before=claim.until,
        attempts=table.c.attempts + 1,
        # Rises for each job, also where claims of one number or out of order come to it one after the other.
        turn=case((table.c.turn >= claim.number, table.c.turn + 1), else_=claim.number),
        updated_at=claim.now,
    )
    return sorted(connection.execute(taken.returning(table)), key=lambda row: str(row.id))


def _oldest_due(claim: _Claim, priority: JobPriority, tenant: str | ColumnElement[str], limit: int) -> Select[str]:
    due = select(table.c.id).where(
        OPEN_JOB,
        table.c.tier == claim.tier,
        table.c.priority == priority,
        table.c.tenant == tenant,
        table.c.not_before <= claim.now,
        or_(table.c.expires_at.is_(None), table.c.expires_at > claim.now),
    )
    return due.order_by(table.c.id).limit(limit)
