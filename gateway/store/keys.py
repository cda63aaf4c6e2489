"""API keys in a database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, insert, select, update

from gateway.service.ports import KeyStore
from gateway.service.records import ApiKey
from gateway.store.database import Database
from gateway.store.schema import api_keys


class SqlKeyStore(KeyStore):
    """API keys in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Raises ValueError for a time without a zone, sqlalchemy.exc.IntegrityError where the id is taken."""
        with self._database.writing() as connection:
            connection.execute(insert(api_keys), _to_row(key))

    def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked or not."""
        with self._database.reading() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
        return None if row is None else _from_row(row)

    def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
            return [_from_row(row) for row in rows]

    def revoke(self, key_id: str, at: datetime) -> bool:
        """The time of the first revocation stays."""
        valid = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            return connection.execute(update(api_keys).where(valid).values(revoked_at=at)).rowcount == 1


def _to_row(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "secret_sha256": key.secret_sha256,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _from_row(row: Row[*tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        secret_sha256=row.secret_sha256,
        tenant=row.tenant,
        name=row.name,
        scopes=frozenset(row.scopes),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )
