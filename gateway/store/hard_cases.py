"""Hard cases in a database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.service.learning.ports import CaseFilter, HardCase, HardCaseStore, Reason
from gateway.service.rollout import Side
from gateway.store.database import Database
from gateway.store.schema import hard_cases as table
from gateway.store.uuid7 import check_bound

_AT_ONCE = 500


class SqlHardCaseStore(HardCaseStore):
    """Hard cases in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, case: HardCase) -> bool:
        try:
            with self._database.writing() as connection:
                connection.execute(insert(table), _to_row(case))
        except IntegrityError:
            return False
        return True

    def second(self, analysis_id: str, reason: Reason | None, other_analysis_id: str, other_answer: Side) -> bool:
        changed: dict[str, object] = {"other_analysis_id": other_analysis_id, "other_answer": _side_to_json(other_answer)}
        if reason is not None:
            changed["reason"] = reason
        with self._database.writing() as connection:
            updated = connection.execute(update(table).where(table.c.analysis_id == analysis_id).values(changed))
            return updated.rowcount == 1

    def page(self, chosen: CaseFilter, *, after_id: str | None, limit: int) -> Sequence[HardCase]:
        """Raises ValueError where `after_id` is no UUID or the filter's time has no zone."""
        conditions = _conditions(chosen)
        if after_id is not None:
            conditions.append(table.c.analysis_id > check_bound(after_id))
        oldest_first = select(table).where(*conditions).order_by(table.c.analysis_id).limit(limit)
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(oldest_first)]

    def remove(self, analysis_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.analysis_id == analysis_id))

    def without_case(self, analysis_ids: Collection[str]) -> frozenset[str]:
        asked = list(analysis_ids)
        found: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(asked), _AT_ONCE):
                some = select(table.c.analysis_id).where(table.c.analysis_id.in_(asked[start : start + _AT_ONCE]))
                found.update(connection.execute(some).scalars())
        return frozenset(asked) - found


def _conditions(chosen: CaseFilter) -> list[ColumnElement[bool]]:
    columns = table.c
    conditions: list[ColumnElement[bool]] = []
    if chosen.tenant is not None:
        conditions.append(columns.tenant == chosen.tenant)
    if chosen.domain is not None:
        conditions.append(columns.domain == chosen.domain)
    if chosen.reason is not None:
        conditions.append(columns.reason == chosen.reason)
    if chosen.found_since is not None:
        if chosen.found_since.tzinfo is None:
            raise ValueError("a time must have a time zone")
        conditions.append(columns.found_at >= chosen.found_since)
    return conditions


def _to_row(case: HardCase) -> dict[str, object]:
    plain = {name: getattr(case, name) for name in HardCase.__slots__}
    other = case.other_answer
    return {
        **plain, "answer": _side_to_json(case.answer), "other_answer": None if other is None else _side_to_json(other),
    }


def _from_row(row: Row[*tuple[object, ...]]) -> HardCase:
    plain = {name: getattr(row, name) for name in HardCase.__slots__}
    other = row.other_answer
    return HardCase(**{**plain, "answer": _side(row.answer), "other_answer": None if other is None else _side(other)})


def _side_to_json(side: Side) -> dict[str, Any]:
    return {"label": side.label, "abstained": side.abstained, "values": dict(side.values)}


def _side(document: Mapping[str, Any]) -> Side:
    return Side(document["label"], document["abstained"], document["values"])
