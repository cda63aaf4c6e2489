"""The secrets that sign webhooks, in a database."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Insert, Row, select, update

from gateway.service.jobs.ports import WebhookSecretStore
from gateway.service.jobs.signing import WebhookSecrets
from gateway.store.database import Database
from gateway.store.schema import webhook_secrets as table


class SqlWebhookSecretStore(WebhookSecretStore):
    """Secrets in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def obtain(self, tenant: str, fresh: str, now: datetime) -> WebhookSecrets:
        """Writes only where the tenant has none."""
        with self._database.reading() as connection:
            found = connection.execute(select(table).where(table.c.tenant == tenant)).one_or_none()
        if found is not None:
            return _from_row(found)
        with self._database.writing() as connection:
            _add(connection, tenant, fresh, now)
            return _of(connection, tenant)

    def rotate(self, tenant: str, fresh: str, now: datetime, *, overlap: timedelta) -> WebhookSecrets:
        """One transaction: of two rotations at once, the second finds what the first left."""
        moved = update(table).where(table.c.tenant == tenant).values(
            secret=fresh, created_at=now, previous=table.c.secret, previous_until=now + overlap
        )
        with self._database.writing() as connection:
            if not _add(connection, tenant, fresh, now):
                connection.execute(moved)
            return _of(connection, tenant)


def _add(connection: Connection, tenant: str, secret: str, now: datetime) -> bool:
    """Whether the tenant had none."""
    row = {"tenant": tenant, "secret": secret, "created_at": now, "previous": "", "previous_until": None}
    added = _insert_unless_there(connection).values(row).returning(table.c.tenant)
    return connection.execute(added).one_or_none() is not None


def _insert_unless_there(connection: Connection) -> Insert:
    """The two databases say the same in the same words, SQLAlchemy has a class for each."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing(index_elements=[table.c.tenant])
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing(index_elements=[table.c.tenant])


def _of(connection: Connection, tenant: str) -> WebhookSecrets:
    return _from_row(connection.execute(select(table).where(table.c.tenant == tenant)).one())


def _from_row(row: Row[*tuple[object, ...]]) -> WebhookSecrets:
    return WebhookSecrets(row.secret, row.created_at, row.previous, row.previous_until)
