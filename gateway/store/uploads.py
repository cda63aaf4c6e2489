"""Uploads in pieces in a database."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import ColumnElement, Row, case, delete, insert, select, update

from gateway.service.uploads.ports import UploadStore
from gateway.service.uploads.records import Upload, UploadState
from gateway.store.database import Database
from gateway.store.schema import uploads as table
from gateway.store.uuid7 import check_id, is_id


class SqlUploadStore(UploadStore):
    """Uploads in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, upload: Upload) -> None:
        """Raises ValueError for an id that is no UUIDv7, sqlalchemy.exc.IntegrityError for one that is taken."""
        row = {field.name: getattr(upload, field.name) for field in fields(upload)}
        documents = {"parameters": dict(upload.parameters), "metadata": dict(upload.metadata)}
        with self._database.writing() as connection:
            connection.execute(insert(table), {**row, **documents, "id": check_id(upload.id)})

    def get(self, tenant: str, upload_id: str) -> Upload | None:
        """None also for a text that is no id at all."""
        if not is_id(upload_id):
            return None
        with self._database.reading() as connection:
            own = select(table).where(table.c.id == upload_id, table.c.tenant == tenant)
            row = connection.execute(own).one_or_none()
        return None if row is None else _from_row(row)

    def advance(self, tenant: str, upload_id: str, *, offset: int, to: int) -> bool:
        """One UPDATE: of two that start at the same offset one moves it."""
        if to < offset:
            return False
        return self._change(tenant, upload_id, table.c.offset == offset, table.c.size_bytes >= to, offset=to)

    def complete(self, tenant: str, upload_id: str, job_id: str) -> bool:
        """Raises ValueError where `job_id` is no UUIDv7."""
        full = table.c.offset == table.c.size_bytes
        return self._change(tenant, upload_id, full, state=UploadState.COMPLETE, job_id=check_id(job_id))

    def abort(self, tenant: str, upload_id: str) -> bool:
        """False also for a text that is no id at all."""
        return self._change(tenant, upload_id, state=UploadState.ABORTED)

    def expired(self, now: datetime, *, limit: int) -> Sequence[Upload]:
        """Where two processes clean up at once, each takes other rows (PostgreSQL; SQLite has one writer)."""
        over = select(table.c.id).where(table.c.expires_at <= now).order_by(table.c.expires_at, table.c.id).limit(limit)
        over_now = over.with_for_update(skip_locked=True).cte("over_now")
        state = case((table.c.state == UploadState.OPEN, UploadState.ABORTED), else_=table.c.state)
        ended = update(table).where(table.c.id.in_(select(over_now.c.id))).values(state=state).returning(table)
        with self._database.writing() as connection:
            found = [_from_row(row) for row in connection.execute(ended)]
        return sorted(found, key=lambda upload: (upload.expires_at, upload.id))

    def remove(self, upload_ids: Sequence[str]) -> None:
        """One DELETE for all."""
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.id.in_(upload_ids)))

    def _change(self, tenant: str, upload_id: str, *conditions: ColumnElement[bool], **values: object) -> bool:
        if not is_id(upload_id):
            return False
        own_open = (table.c.id == upload_id, table.c.tenant == tenant, table.c.state == UploadState.OPEN)
        with self._database.writing() as connection:
            return connection.execute(update(table).where(*own_open, *conditions).values(**values)).rowcount == 1


def _from_row(row: Row[*tuple[object, ...]]) -> Upload:
    values = {field.name: getattr(row, field.name) for field in fields(Upload)}
    return Upload(**{**values, "state": UploadState(row.state)})
