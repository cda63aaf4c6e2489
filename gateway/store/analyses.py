"""Analyses in a database."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Row, delete, select

from gateway.service.ports import AnalysisStore
from gateway.service.records import Analysis, AnalysisFilter
from gateway.store.database import Database
from gateway.store.schema import analyses as table
from gateway.store.uuid7 import check_bound, check_id, is_id, lowest_id

MAKING_TIME = timedelta(minutes=10)
"""How far an analysis's `created_at` may lie from the time in its id. Within it, a filter by time finds every analysis
while it walks only through the ids of its own period; beyond it, the analysis is found by all other filters only."""


class SqlAnalysisStore(AnalysisStore):
    """Analyses in SQLite or PostgreSQL; safe for any number of threads and processes.

    A time range is half open: from `created_after` on, and before `created_before`. What is deleted is overwritten in
    SQLite's file at the next checkpoint (at the latest when the last process closes the database).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, analyses: Sequence[Analysis]) -> None:
        """Raises ValueError for an id that is no UUIDv7; ValueError or sqlalchemy.exc.StatementError for a time without a
        zone, an id that is taken, or a document that is no JSON (NaN and infinity aren't).
        """
        if analyses:  # of no row at all SQLAlchemy makes one of defaults
            self._database.insert(table, [to_row(analysis) for analysis in analyses])

    def get(self, tenant: str, analysis_id: str) -> Analysis | None:
        """None also for a text that is no id at all."""
        if not is_id(analysis_id):
            return None
        with self._database.reading() as connection:
            chosen = select(table).where(table.c.id == analysis_id, table.c.tenant == tenant)
            row = connection.execute(chosen).one_or_none()
        return None if row is None else _from_row(row)

    def page(self, tenant: str, chosen: AnalysisFilter, *, before_id: str | None, limit: int) -> Sequence[Analysis]:
        """Raises ValueError where `before_id` is no UUID or a time of the filter has no zone."""
        conditions = [table.c.tenant == tenant, *_conditions(chosen)]
        if before_id is not None:
            conditions.append(table.c.id < check_bound(before_id))
        newest_first = select(table).where(*conditions).order_by(table.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(newest_first)]

    def delete(self, tenant: str, analysis_id: str) -> bool:
        """False also for a text that is no id at all."""
        if not is_id(analysis_id):
            return False
        with self._database.writing() as connection:
            removed = connection.execute(delete(table).where(table.c.id == analysis_id, table.c.tenant == tenant))
            return removed.rowcount == 1

    def delete_older(self, before: datetime, *, limit: int) -> Sequence[str]:
        """The ids come oldest first."""
        oldest = select(table.c.id).where(table.c.created_at < before)
        oldest = oldest.order_by(table.c.created_at, table.c.id).limit(limit)
        # Where two processes clean up at once, each takes other rows (PostgreSQL; SQLite has one writer and ignores it).
        oldest = oldest.with_for_update(skip_locked=True)
        removal = delete(table).where(table.c.id.in_(oldest)).returning(table.c.created_at, table.c.id)
        with self._database.writing() as connection:
            return [analysis_id for _, analysis_id in sorted(connection.execute(removal))]


def _conditions(chosen: AnalysisFilter) -> list[ColumnElement[bool]]:
    columns = table.c
    conditions: list[ColumnElement[bool]] = []
    if chosen.domain is not None:
        conditions.append(columns.domain == chosen.domain)
    if chosen.model is not None:
        conditions.append(columns.model == chosen.model)
    if chosen.label is not None:
        conditions.append(columns.label == chosen.label)
    if chosen.abstained is not None:
        conditions.append(columns.abstained == chosen.abstained)
    if chosen.created_after is not None:
        conditions.append(columns.id >= lowest_id(chosen.created_after, -MAKING_TIME))
        conditions.append(columns.created_at >= chosen.created_after)
    if chosen.created_before is not None:
        conditions.append(columns.id < lowest_id(chosen.created_before, MAKING_TIME))
        conditions.append(columns.created_at < chosen.created_before)
    return conditions


def to_row(analysis: Analysis) -> dict[str, object]:
    """An analysis as the table takes it, for whoever stores one together with other things."""
    return {
        "id": check_id(analysis.id),
        "tenant": analysis.tenant,
        "domain": analysis.domain,
        "created_at": analysis.created_at,
        "request_id": analysis.request_id,
        "model": analysis.model,
        "label": analysis.label,
        "abstained": analysis.abstained,
        "parameters": dict(analysis.parameters),
        "media": dict(analysis.media),
        "result": dict(analysis.result),
        "provenance": dict(analysis.provenance),
        "images": list(analysis.images),
    }


def _from_row(row: Row[*tuple[object, ...]]) -> Analysis:
    return Analysis(
        id=row.id,
        tenant=row.tenant,
        domain=row.domain,
        created_at=row.created_at,
        request_id=row.request_id,
        model=row.model,
        label=row.label,
        abstained=row.abstained,
        parameters=row.parameters,
        media=row.media,
        result=row.result,
        provenance=row.provenance,
        images=tuple(row.images),
    )
