"""The audit log in a database."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace

from sqlalchemy import Connection, Row, Select, insert, select, text

from gateway.service.leaving.audit import AuditEntry, AuditLog, Departure, next_entry
from gateway.store.database import Database
from gateway.store.schema import audit_log as table
from gateway.store.texts import storable

AUDIT_LOCK = 0x6865_6467_6175_6474
"""Key of PostgreSQL's advisory lock that is held while an entry is appended."""

_PART = 500


class SqlAuditLog(AuditLog):
    """The log in SQLite or PostgreSQL; safe for any number of threads and processes.

    Triggers of the database refuse changes (migrations/versions/0005_audit.py). They guard against slips of ours; who
    may alter the table may drop them, and that is what the hashes are for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, departure: Departure) -> AuditEntry:
        """One transaction reads the last entry and writes the next: SQLite's lock, or an advisory one, keeps others out."""
        departure = replace(
            departure, tenant=storable(departure.tenant), analysis_id=storable(departure.analysis_id),
            sha256=storable(departure.sha256), format=storable(departure.format), why=storable(departure.why),
            where_to=storable(departure.where_to), form=tuple(map(storable, departure.form)),
        )
        with self._database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"))
            entry = next_entry(departure, _newest(connection))
            connection.execute(insert(table), asdict(entry))
        return entry

    def entries(self) -> Iterator[AuditEntry]:
        """In order of `seq`; those that are appended meanwhile come too."""
        after: int | None = None
        while True:
            part = self._read(_after(after).order_by(table.c.seq).limit(_PART))
            yield from part
            if len(part) < _PART:
                return
            after = part[-1].seq

    def last(self, limit: int, *, tenant: str | None = None, analysis_id: str | None = None) -> Sequence[AuditEntry]:
        """Newest first."""
        chosen = select(table)
        if tenant is not None:
            chosen = chosen.where(table.c.tenant == tenant)
        if analysis_id is not None:
            chosen = chosen.where(table.c.analysis_id == analysis_id)
        return self._read(chosen.order_by(table.c.seq.desc()).limit(limit))

    def _read(self, query: Select[*tuple[object, ...]]) -> list[AuditEntry]:
        with self._database.reading() as connection:
            return [_from_row(row) for row in connection.execute(query)]


def _after(seq: int | None) -> Select[*tuple[object, ...]]:
    return select(table) if seq is None else select(table).where(table.c.seq > seq)


def _newest(connection: Connection) -> AuditEntry | None:
    row = connection.execute(select(table).order_by(table.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _from_row(row)


def _from_row(row: Row[*tuple[object, ...]]) -> AuditEntry:
    return AuditEntry(**{field.name: getattr(row, field.name) for field in fields(AuditEntry)})
