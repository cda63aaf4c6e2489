"""The audit log over both databases, and the commands that check and list it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError

from gateway.service.leaving.audit import AuditEntry, verify
from gateway.store.audit import SqlAuditLog
from gateway.store.database import Database, open_database
from tests.gateway.service.test_leaving import departure

ROOT = Path(__file__).parents[3]

APPEND = """
import sys
from gateway.store.audit import SqlAuditLog
from gateway.store.database import open_database
from tests.gateway.service.test_leaving import departure
log = SqlAuditLog(open_database(sys.argv[1]))
for number in range(25):
    log.append(departure(number))
"""

PUT_BEFORE = """
INSERT INTO audit_log SELECT 0, at, tenant, analysis_id, sha256, size_bytes, format, why, where_to, form, prev_hash, hash
FROM audit_log WHERE seq = 1
"""


@pytest.fixture
def log(database: Database) -> SqlAuditLog:
    """An empty log."""
    return SqlAuditLog(database)


def filled(log: SqlAuditLog, count: int) -> list[AuditEntry]:
    """The entries of a log that so many departures were appended to."""
    return [log.append(departure(number)) for number in range(count)]


def tamper(database: Database, *statements: str) -> None:
    """Changes the table behind the program's back: the triggers go first."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        else:
            for change in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS audit_log_no_{change}"))
        for statement in statements:
            connection.execute(text(statement))


def test_entries_come_back_as_they_were_hashed(log: SqlAuditLog) -> None:
    assert list(log.entries()) == []
    entries = filled(log, 3)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert list(log.entries()) == entries
    assert verify(log.entries()).is_whole
    assert entries[0].form == "dicom-basic-profile no-text-found"


def test_text_that_no_database_takes_is_replaced_before_it_is_hashed(log: SqlAuditLog) -> None:
    entry = log.append(replace(departure(), where_to="s3://\x00\ud800", tenant="Größe \U0001f33f"))
    assert entry.where_to == "s3://\N{REPLACEMENT CHARACTER}?"
    assert list(log.entries()) == [entry]
    assert verify(log.entries()).is_whole


def test_a_log_longer_than_one_read_is_walked_whole(log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.audit._PART", 2)
    entries = filled(log, 5)
    assert list(log.entries()) == entries
    assert list(log.entries())[:4] == entries[:4]


def test_the_newest_come_first_and_of_one_tenant_or_analysis_where_asked(log: SqlAuditLog) -> None:
    entries = filled(log, 4)
    other = log.append(replace(departure(), tenant="farm"))
    assert log.last(2) == [other, entries[3]]
    assert log.last(9, tenant="farm") == [other]
    assert log.last(9, analysis_id="analysis-2") == [entries[2]]
    assert log.last(9, tenant="farm", analysis_id="analysis-2") == []


def test_threads_that_append_at_once_make_one_chain(log: SqlAuditLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda number: log.append(departure(number)), range(60)))
    assert sorted(entry.seq for entry in entries) == list(range(1, 61))
    assert verify(log.entries()).entries == 60
    assert verify(log.entries()).is_whole


def test_processes_that_append_at_once_make_one_chain(url: str) -> None:
    open_database(url).close()
    programs = [subprocess.Popen([sys.executable, "-c", APPEND, url], cwd=ROOT) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    with closing(open_database(url)) as database:
        found = verify(SqlAuditLog(database).entries())
    assert (found.is_whole, found.entries) == (True, 75)


@pytest.mark.parametrize("change", ["UPDATE audit_log SET why = 'x' WHERE seq = 1", "DELETE FROM audit_log"])
def test_the_database_refuses_changes(log: SqlAuditLog, database: Database, change: str) -> None:
    filled(log, 2)
    with pytest.raises(DatabaseError, match="only ever appended"), database.writing() as connection:
        connection.execute(text(change))
    assert verify(log.entries()).entries == 2


@pytest.mark.parametrize(("change", "broken"), [
    ("UPDATE audit_log SET size_bytes = 7 WHERE seq = 3", 3),
    ("UPDATE audit_log SET form = 'no-text-found' WHERE seq = 1", 1),
    ("UPDATE audit_log SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seq = 5", 5),
    ("UPDATE audit_log SET at = 'never' WHERE seq = 2", 2),
    ("DELETE FROM audit_log WHERE seq = 2", 3),
    ("DELETE FROM audit_log WHERE seq = 1", 2),
    (PUT_BEFORE, 0),
])
def test_what_was_changed_behind_our_back_shows(log: SqlAuditLog, database: Database, change: str, broken: int) -> None:
    filled(log, 5)
    tamper(database, change)
    assert verify(log.entries()).broken == broken


def test_the_older_form_of_the_database_gets_the_table(url: str) -> None:
    with closing(open_database(url)) as database:
        tamper(database, "DROP TABLE hard_cases", "DROP TABLE audit_log", "UPDATE alembic_version SET version_num = '0004'")
    with closing(open_database(url)) as database:
        assert "audit_log" in inspect(database.engine).get_table_names()
        assert filled(SqlAuditLog(database), 1)


def hedgerow(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the program over the data folder."""
    return subprocess.run(
        [sys.executable, "-c", "from gateway.entry import main; main()", "audit", *words], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "HEDGEROW_DATA_DIR": str(data), "COLUMNS": "200"},
    )


def stored(data: Path, count: int) -> Sequence[AuditEntry]:
    with closing(open_database(f"sqlite:///{data / 'hedgerow.db'}")) as database:
        return filled(SqlAuditLog(database), count)


def test_an_operator_verifies_the_log_and_learns_the_first_broken_entry(tmp_path: Path) -> None:
    entries = stored(tmp_path, 4)
    done = hedgerow(tmp_path, "verify")
    assert (done.returncode, done.stdout) == (0, f"4 entries, each as it was written; the last hash is {entries[3].hash}\n"), done.stderr
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        tamper(database, "UPDATE audit_log SET where_to = 'nowhere' WHERE seq = 3")
    done = hedgerow(tmp_path, "verify")
    assert done.returncode == 1
    assert done.stdout == "entry 3 is broken: its content isn't what was written. The 2 entries before it are whole.\n"
    told = json.loads(hedgerow(tmp_path, "verify", "--json").stdout)
    assert (told["whole"], told["broken"], told["entries"]) == (False, 3, 2)


def test_an_operator_who_noted_the_last_hash_sees_that_entries_were_cut_off(tmp_path: Path) -> None:
    anchor = stored(tmp_path, 4)[3].hash
    assert hedgerow(tmp_path, "verify", "--anchor", anchor).returncode == 0
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        tamper(database, "DELETE FROM audit_log WHERE seq = 4")
    assert hedgerow(tmp_path, "verify").returncode == 0
    done = hedgerow(tmp_path, "verify", "--anchor", anchor)
    assert done.returncode == 1
    assert "the anchor is NOT among them" in done.stdout


def test_an_operator_lists_what_left(tmp_path: Path) -> None:
    stored(tmp_path, 3)
    listed = json.loads(hedgerow(tmp_path, "list", "--json", "--last", "2").stdout)
    assert [row["seq"] for row in listed] == [3, 2]
    assert listed[0]["rules"] == ["dicom-basic-profile", "no-text-found"]
    table = hedgerow(tmp_path, "list", "--analysis", "analysis-1").stdout
    assert "unsure" in table
    assert "1001 bytes of dicom" in table
    assert "analysis-2" not in table
