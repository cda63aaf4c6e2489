"""What workers ask all the time costs the same however many jobs are kept."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from gateway.service.jobs.records import JobFilter, JobState
from gateway.store.database import Database, open_database
from gateway.store.deliveries import SqlDeliveryStore
from gateway.store.jobs import SqlJobStore
from gateway.store.uploads import SqlUploadStore
from tests.gateway.store.job_samples import LEASE_S, new_delivery, new_job, submit_all
from tests.gateway.store.samples import NOON
from tests.servers import PostgresServer

MANY = """
INSERT INTO jobs SELECT CAST(lpad(to_hex(1700000000000 + n), 12, '0') || '70008' || lpad(to_hex(n), 15, '0') AS uuid),
  't' || n % 5, 'd', '{}', 'r', 1, 's', 'f', to_timestamp(1700000000 + n), to_timestamp(1700000000 + n),
  to_timestamp(1700000000 + n), CASE WHEN n % 20 = 0 THEN 'queued' WHEN n % 20 = 1 THEN 'failed' ELSE 'done' END,
  CASE WHEN n % 3 = 0 THEN 'batch' ELSE 'interactive' END, 1, '', n, NULL, 'm' || n % 50, NULL, '', '', '', '{}', NULL,
  CASE WHEN n % 10 = 7 THEN 'cloud' ELSE 'edge' END, '', '', '[]'
  FROM generate_series(1, 20000) AS n
"""
MANY_DELIVERIES = """
INSERT INTO webhook_deliveries SELECT id, id, tenant, 'u', created_at, created_at, created_at,
  CASE WHEN state = 'failed' THEN 'pending' ELSE 'delivered' END, 0, NULL, '' FROM jobs
"""
MANY_UPLOADS = """
INSERT INTO uploads SELECT id, tenant, 'd', '{}', 1, created_at, created_at, 0, 'open', '{}', NULL FROM jobs
"""


def ask_everything(database: Database) -> None:
    """Each of the questions once."""
    store = SqlJobStore(database)
    long_ago = NOON - timedelta(days=5000)
    store.claim("gateway-1", NOON, lease_s=LEASE_S, limit=4)
    store.expire(NOON, limit=4)
    store.used("t1", "", NOON)
    store.delete_finished(long_ago, limit=4)
    for chosen in (JobFilter(), JobFilter(JobState.FAILED), JobFilter(mission="m1")):
        store.page("t1", chosen, before_id=new_job().id, limit=4)
    SqlDeliveryStore(database).claim(long_ago, lease_s=LEASE_S, limit=4)
    SqlUploadStore(database).expired(long_ago, limit=4)


@contextmanager
def plans(database: Database) -> Iterator[list[tuple[str, str]]]:
    """Collects what the database says about how it does each statement that is sent."""
    found: list[tuple[str, str]] = []
    prefix = "EXPLAIN QUERY PLAN" if database.engine.dialect.name == "sqlite" else "EXPLAIN"

    def note(connection: Connection, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        if statement.startswith(("WITH", "SELECT")):
            with closing(connection.connection.cursor()) as cursor:
                cursor.execute(f"{prefix} {statement}", values)
                found.append((statement, "\n".join(str(row[-1]) for row in cursor.fetchall())))

    event.listen(database.engine, "before_cursor_execute", note)
    yield found
    event.remove(database.engine, "before_cursor_execute", note)


def test_sqlite_reads_only_those_rows_that_it_needs(tmp_path: Path) -> None:
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        (job,) = submit_all(database, [new_job()])
        SqlDeliveryStore(database).add(new_delivery(job))
        with plans(database) as found:
            ask_everything(database)
    assert len(found) == 12
    for statement, plan in found:
        for table in ("jobs", "webhook_deliveries", "uploads"):
            assert f"SCAN {table}" not in plan, (statement, plan)
        if "turn" not in statement:  # tenants are sorted by their turn, jobs by nothing but an index
            assert "TEMP B-TREE" not in plan, (statement, plan)


@pytest.mark.parametrize("table", ["jobs", "webhook_deliveries", "uploads"])
def test_a_full_postgresql_reads_only_those_rows_that_it_needs(postgres_server: PostgresServer, table: str) -> None:
    with closing(open_database(postgres_server.new_database())) as database:
        with database.writing() as connection:
            for fill in (MANY, MANY_DELIVERIES, MANY_UPLOADS):
                connection.execute(text(fill))
            connection.execute(text("ANALYZE"))
        with plans(database) as found:
            ask_everything(database)
    for statement, plan in found:
        assert f"Seq Scan on {table}" not in plan, (statement, plan)
