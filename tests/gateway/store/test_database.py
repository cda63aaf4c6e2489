"""Opening a database, its migrations, and what survives a crash."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, insert, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from gateway.service.records import AnalysisFilter
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database, open_database
from gateway.store.jobs import SqlJobStore
from gateway.store.keys import SqlKeyStore
from gateway.store.rollouts import SqlRolloutStore
from gateway.store.schema import REVISION, DatabaseVersionError, api_keys, metadata
from tests.gateway.store.job_samples import new_job
from tests.gateway.store.samples import NOON, analysis_at, key, sample
from tests.servers import PostgresServer

ROOT = Path(__file__).parents[3]
OF_JOBS = ("hard_cases", "audit_log", "webhook_secrets", "webhook_deliveries", "uploads", "jobs")

OPEN = """
import sys
from gateway.store.database import open_database
print("ready", flush=True)
sys.stdin.readline()
open_database(sys.argv[1])
print("opened", "alembic" in sys.modules, "tensorflow" in sys.modules, "sqlalchemy.orm" in sys.modules, flush=True)
"""

ADD = """
import sys
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from tests.gateway.store.job_samples import new_job
from tests.gateway.store.samples import sample
store = SqlAnalysisStore(open_database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while True:
    kept = sample()
    store.add([kept])
    print(kept.id, flush=True)
"""


class Program:
    """A Python process that says "ready", waits for a line, then goes on."""

    def __init__(self, source: str, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", source, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.line() == "ready"

    def go(self) -> None:
        """Lets it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def line(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        """Kills it as `kill -9` does."""
        self.process.kill()
        self.process.communicate()


def test_processes_that_open_a_fresh_database_at_once_all_succeed(url: str) -> None:
    programs = [Program(OPEN, url) for _ in range(3)]
    for program in programs:
        program.go()
    said = [program.line() for program in programs]
    for program in programs:
        program.close()
    assert all(line.startswith("opened") for line in said)
    with closing(open_database(url)) as database:
        SqlKeyStore(database).add(key())


def test_a_fresh_file_that_another_process_is_about_to_write_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "hedgerow.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor() as pool:
            opening = pool.submit(open_database, f"sqlite:///{path}")
            assert not wait([opening], timeout=0.3).done
            holder.execute("ROLLBACK")
            opening.result(timeout=30).close()


def test_a_usual_start_loads_no_migration_library(url: str) -> None:
    open_database(url).close()
    program = Program(OPEN, url)
    program.go()
    said = program.line()
    program.close()
    assert said == "opened False False False"


def test_what_was_stored_is_there_after_a_kill(url: str) -> None:
    program = Program(ADD, url)
    program.go()
    confirmed = [program.line() for _ in range(20)]
    os.kill(program.process.pid, signal.SIGKILL)
    program.process.communicate()
    with closing(open_database(url)) as database:
        store = SqlAnalysisStore(database)
        assert all(store.get("clinic", analysis_id) for analysis_id in confirmed)


def test_two_processes_store_into_one_database(url: str) -> None:
    programs = [Program(ADD, url) for _ in range(2)]
    for program in programs:
        program.go()
    confirmed = [program.line() for program in programs for _ in range(30)]
    for program in programs:
        program.close()
    with closing(open_database(url)) as database:
        page = SqlAnalysisStore(database).page("clinic", AnalysisFilter(), before_id=None, limit=10_000)
    assert set(confirmed) <= {analysis.id for analysis in page}


def test_a_transaction_that_reads_first_can_still_write_when_others_wrote(url: str) -> None:
    with closing(open_database(url)) as database, closing(open_database(url)) as other, ThreadPoolExecutor(1) as thread:
        with database.writing() as connection:
            assert connection.execute(text("SELECT count(*) FROM api_keys")).scalar_one() == 0
            added = thread.submit(SqlKeyStore(other).add, key("other123"))
            wait([added], timeout=0.5)
            connection.execute(insert(api_keys).values({**asdict(key()), "scopes": []}))
        added.result()
        assert {found.id for found in SqlKeyStore(database).all()} == {"abcd1234", "other123"}


def test_a_clean_up_of_postgresql_takes_other_rows_than_one_that_is_at_work(postgres_server: PostgresServer) -> None:
    made = [analysis_at(NOON, number) for number in range(4)]
    url = f"{postgres_server.new_database()}?options=-c%20lock_timeout%3D5000"  # fail instead of waiting for ever
    with closing(open_database(url)) as database:
        store = SqlAnalysisStore(database)
        store.add(made)
        with database.writing() as at_work:
            at_work.execute(text("SELECT id FROM analyses ORDER BY id LIMIT 2 FOR UPDATE"))
            assert list(store.delete_older(NOON + timedelta(days=1), limit=2)) == [made[2].id, made[3].id]


def test_sqlite_syncs_every_commit_to_the_disk(tmp_path: Path) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database, database.writing() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL


def test_the_migrations_make_what_the_program_expects(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISION


def test_a_database_of_a_newer_program_is_refused_and_left_alone(url: str) -> None:
    with closing(open_database(url)) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseVersionError, match=f"has version 9999, this program knows versions up to {REVISION}"):
        open_database(url)


def test_a_database_from_before_models_had_versions_keeps_its_answers(url: str) -> None:
    kept = sample()
    with closing(open_database(url)) as database:
        SqlAnalysisStore(database).add([kept])
        with database.writing() as connection:
            for table in (*OF_JOBS, "disagreements", "deployments"):
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with closing(open_database(url)) as database:
        assert SqlAnalysisStore(database).get("clinic", kept.id) == kept
        assert SqlRolloutStore(database).deployments() == []


def test_a_database_from_before_jobs_were_kept_keeps_its_answers(url: str) -> None:
    kept, job = sample(), new_job()
    with closing(open_database(url)) as database:
        SqlAnalysisStore(database).add([kept])
        with database.writing() as connection:
            for table in OF_JOBS:
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    with closing(open_database(url)) as database:
        assert SqlAnalysisStore(database).get("clinic", kept.id) == kept
        assert SqlJobStore(database).submit(job).is_new


def test_a_migration_that_fails_leaves_nothing_half_made(url: str) -> None:
    """A foreign table is in the way of the second one that the first migration makes."""
    with closing(open_database(url)) as database, database.writing() as connection:
        for table in ("alembic_version", *OF_JOBS, "disagreements", "deployments", "analyses"):
            connection.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(SQLAlchemyError, match="api_keys"):
        open_database(url)
    with closing(_unmigrated(url)) as database, database.reading() as connection:
        assert inspect(connection).get_table_names() == ["api_keys"]


def test_a_listing_walks_one_index_whatever_the_filter(tmp_path: Path) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        for chosen in _every_filter():
            for before in (None, sample().id):
                plan = _plan(database, chosen, before)
                assert "USING INDEX ix_analyses_tenant" in plan, (chosen, plan)
                assert "SCAN" not in plan, (chosen, plan)
                assert "TEMP B-TREE" not in plan, (chosen, plan)


@pytest.mark.parametrize(
    "chosen",
    [
        AnalysisFilter(),
        AnalysisFilter(domain="d1"),
        AnalysisFilter(model="m2"),
        AnalysisFilter(label="l3"),
        AnalysisFilter(abstained=True),
        AnalysisFilter(domain="d1", created_before=NOON),
    ],
    ids=str,
)
def test_a_listing_sorts_nothing_in_a_full_postgresql(postgres_server: PostgresServer, chosen: AnalysisFilter) -> None:
    with closing(open_database(postgres_server.new_database())) as database:
        with database.writing() as connection:
            connection.execute(text(FILL))
            connection.execute(text("ANALYZE analyses"))
        plan = _plan(database, chosen, None)
        assert "Index Scan" in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan


FILL = """
INSERT INTO analyses SELECT CAST(lpad(to_hex(1700000000000 + n), 12, '0') || '70008' || lpad(to_hex(n), 15, '0') AS uuid),
  't' || n % 3, 'd' || n % 3, to_timestamp(1700000000 + n / 1000.0), 'r', 'm' || n % 7, 'l' || n % 11, n % 20 = 0,
  '{}', '{}', '{}', '{}', '[]' FROM generate_series(1, 20000) AS n
"""


def test_the_gateway_goes_on_after_postgresql_was_restarted(postgres_server: PostgresServer) -> None:
    with closing(open_database(postgres_server.new_database())) as database:
        store = SqlAnalysisStore(database)
        first, second = sample(), sample()
        store.add([first])
        postgres_server.stop()
        postgres_server.start()
        store.add([second])
        assert store.get("clinic", first.id) == first
        assert store.get("clinic", second.id) == second


def test_an_unreachable_server_is_an_error_without_the_password() -> None:
    with pytest.raises(SQLAlchemyError) as error:
        open_database("postgresql+psycopg://hedgerow:quite-secret@127.0.0.1:9/hedgerow")
    assert "quite-secret" not in str(error.value)


@pytest.mark.parametrize("bad", ["", "var/hedgerow.db", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_a_database_is_refused_with_the_form_expected(bad: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///PATH"):
        open_database(bad)


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data" / "hedgerow.db"
    with closing(open_database(f"sqlite:///{path}")) as database:
        SqlKeyStore(database).add(key())
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(("hedgerow.db", "hedgerow.db-wal", "hedgerow.db-shm"), 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_a_deleted_analysis_is_overwritten_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hedgerow.db"
    with closing(open_database(f"sqlite:///{path}")) as database:
        store = SqlAnalysisStore(database)
        store.add([sample(label="hyperechoic"), analysis_at(NOON)])
        store.delete("clinic", store.page("clinic", AnalysisFilter(), before_id=None, limit=1)[0].id)
    assert b"benign" in path.read_bytes()
    assert b"hyperechoic" not in path.read_bytes()


def test_a_writer_of_another_program_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "hedgerow.db"
    with closing(open_database(f"sqlite:///{path}")) as database, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        program = Program(ADD, f"sqlite:///{path}")
        program.go()
        time.sleep(0.3)
        other.rollback()
        stored = program.line()
        program.close()
        assert SqlAnalysisStore(database).get("clinic", stored)


def _every_filter() -> Iterator[AnalysisFilter]:
    for bits in range(64):
        yield AnalysisFilter(
            domain="d" if bits & 1 else None,
            model="m" if bits & 2 else None,
            label="l" if bits & 4 else None,
            abstained=True if bits & 8 else None,
            created_after=NOON if bits & 16 else None,
            created_before=NOON if bits & 32 else None,
        )


def _plan(database: Database, chosen: AnalysisFilter, before_id: str | None) -> str:
    """What the database says about how it answers the query that the store sends for a page."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        sent.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    SqlAnalysisStore(database).page("t1", chosen, before_id=before_id, limit=50)
    event.remove(database.engine, "before_cursor_execute", note)
    ((statement, values),) = sent
    prefix = "EXPLAIN QUERY PLAN" if database.engine.dialect.name == "sqlite" else "EXPLAIN"
    with database.reading() as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{prefix} {statement}", values))


def _unmigrated(url: str) -> Database:
    return Database(create_engine(url))
