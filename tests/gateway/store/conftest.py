"""Every test that takes `database` or `url` runs over SQLite and over a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.database import Database, open_database
from tests.servers import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'hedgerow.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A fresh database, opened."""
    opened = open_database(url)
    yield opened
    opened.close()
