"""Opening the database: SQLite in one file by default, PostgreSQL by URL.

SQLite runs in WAL mode with synchronous=FULL. In WAL mode only FULL syncs the log at every commit; NORMAL keeps the file
intact but may lose the last commits when the power fails (https://www.sqlite.org/pragma.html#pragma_synchronous). What
was committed to PostgreSQL is as safe as its setting `synchronous_commit` says, `on` by default.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, insert, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from edge_runtime.folders import make_private_folder
from gateway.store.schema import REVISION

BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite writer waits for the writers of other processes."""

MIGRATION_LOCK = 0x6865_6467_6572_6F77
"""Key of PostgreSQL's advisory lock that is held while the tables are made or changed."""


class Database:
    """An open database, ready for any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._writer = engine.execution_options(**{_IMMEDIATE: True})
        self._reader = engine if self._is_sqlite else engine.execution_options(isolation_level="AUTOCOMMIT")
        # SQLite has one writer, and those that wait for it poll: threads of one process queue here instead.
        self._turn: AbstractContextManager[object] = threading.Lock() if self._is_sqlite else nullcontext()
        self._inserter = _Inserter(engine) if self._is_sqlite else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for one query, outside a transaction."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that commits at the end, and rolls back when an exception leaves the block."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    def insert(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Puts rows, at least one, into a table in a transaction of their own: what is done for each answer.

        Raises sqlalchemy.exc.IntegrityError for a key that is taken; for a value that the column's type refuses what the type
        raises, which SQLAlchemy wraps into a StatementError.
        """
        if self._inserter is None:
            with self.writing() as connection:
                connection.execute(insert(table), rows)
        else:
            with self._turn:
                self._inserter.insert(table, rows)

    def close(self) -> None:
        """Closes every connection that is not in use."""
        if self._inserter is not None:
            with self._turn:
                self._inserter.close()
        self.engine.dispose()


class _Inserter:
    """SQLAlchemy's own statement and types, by the driver on a connection that is kept: what SQLAlchemy does around a row takes
    longer than SQLite with it. For one thread at a time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None
        self._prepared: dict[Table, tuple[str, Sequence[tuple[str, Callable[[Any], Any]]]]] = {}

    def insert(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """In one transaction."""
        statement, columns = self._prepared.get(table) or self._prepare(table)
        values = [[bind(row[name]) for name, bind in columns] for row in rows]
        if self._connection is None:
            taken = self._engine.raw_connection()
            taken.detach()
            self._connection = taken.dbapi_connection
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, values)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True) from error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Until the next row."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _prepare(self, table: Table) -> tuple[str, Sequence[tuple[str, Callable[[Any], Any]]]]:
        dialect = self._engine.dialect
        names = [column.name for column in table.columns]
        statement = str(insert(table).compile(dialect=dialect, column_keys=names))
        binds = [column.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is for column in table.columns]
        prepared = self._prepared[table] = statement, list(zip(names, binds, strict=True))
        return prepared


def _as_it_is(value: object) -> object:
    return value


def open_database(url: str) -> Database:
    """Opens `sqlite:///PATH` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME` and brings its tables up to date.

    SQLite's folder and file are made where they are missing, readable by their owner only. Any number of processes may
    open a fresh database at once. Raises ValueError for a URL of another kind,
    DatabaseVersionError where a newer program wrote the database, and
    sqlalchemy.exc.SQLAlchemyError where it can't be opened.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError(_EXPECTED_URL) from error
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        return _open_sqlite(parsed)
    if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
        return _open_postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise ValueError(_EXPECTED_URL)


_IMMEDIATE = "hedgerow_immediate"
_EXPECTED_URL = "the database URL must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def _new_engine(url: URL, **options: object) -> Engine:
    # Values stay out of error messages, which reach logs: they are results of patients.
    return create_engine(url, hide_parameters=True, json_serializer=partial(json.dumps, allow_nan=False), **options)


def _open_sqlite(url: URL) -> Database:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ValueError("a SQLite database must be a file: sqlite:///PATH")
    path = Path(url.database).absolute()
    make_private_folder(path.parent)
    engine = _new_engine(url.set(database=str(path)))
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    path.touch(0o600)  # SQLite gives the files beside it the same mode
    _write_ahead(engine)
    return _up_to_date(Database(engine), lock=None)


def _write_ahead(engine: Engine) -> None:
    # Only this needs a file of its own for a moment, and SQLite doesn't wait for that as it waits for a writer.
    give_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode = WAL"))
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)
        else:
            return


def _open_postgresql(url: URL) -> Database:
    # A connection that a restart of the server cut is replaced before it is used.
    engine = _new_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10, "application_name": "hedgerow"})
    return _up_to_date(Database(engine), lock=f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")


def _up_to_date(database: Database, *, lock: str | None) -> Database:
    try:
        if _stored_revision(database) != REVISION:
            from gateway.store.upgrade import upgrade  # alembic costs time and memory that a usual start needn't pay

            with database.writing() as connection:
                if lock is not None:
                    connection.execute(text(lock))
                upgrade(connection)
    except BaseException:
        database.close()
        raise
    return database


def _stored_revision(database: Database) -> str | None:
    with database.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        return None if revision is None else str(revision)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not by the module's own rules
    for setting in (f"busy_timeout = {BUSY_TIMEOUT_MS}", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would fail when another writer came between: claim writing at once.
    if connection.get_execution_options().get(_IMMEDIATE):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
