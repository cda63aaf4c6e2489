"""`hedgerow webhooks`, as an operator runs it, also while no gateway runs."""

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.service.jobs.signing import new_secret
from tests.gateway.service.webhook_stores import Books
from tests.gateway.store.job_samples import new_job
from tests.gateway.store.samples import NOON
from tests.gateway_process import HEDGEROW


def hedgerow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    settings = kept | {"COLUMNS": "200", "HEDGEROW_DATA_DIR": str(folder)}
    return subprocess.run([HEDGEROW, *arguments], env=settings, capture_output=True, text=True, timeout=60, check=False)


def test_the_secret_is_printed_and_rotated(tmp_path: Path) -> None:
    assert hedgerow(tmp_path, "keys", "create", "--tenant", "clinic").returncode == 0
    first = hedgerow(tmp_path, "webhooks", "secret", "--tenant", "clinic")
    assert first.stdout.startswith("whsec_"), first.stderr
    assert first.stderr == ""
    assert hedgerow(tmp_path, "webhooks", "secret", "--tenant", "clinic").stdout == first.stdout
    second = hedgerow(tmp_path, "webhooks", "secret", "--tenant", "clinic", "--rotate")
    assert second.stdout.startswith("whsec_")
    assert second.stdout != first.stdout
    assert len(second.stdout.splitlines()) == 1, "what a script reads"
    assert "the secret before signs as well until" in second.stderr
    books = Books(tmp_path)
    assert books.secrets.obtain("clinic", new_secret(), NOON).previous == first.stdout.strip()
    books.database.close()


def test_a_tenant_that_is_misspelt_gets_no_secret(tmp_path: Path) -> None:
    assert hedgerow(tmp_path, "keys", "create", "--tenant", "clinic").returncode == 0
    done = hedgerow(tmp_path, "webhooks", "secret", "--tenant", "clinik")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "hedgerow: no API key belongs to a tenant clinik\n"


def test_the_log_of_a_job_says_what_became_of_its_result(tmp_path: Path) -> None:
    books = Books(tmp_path)
    job = books.done("https://clinic.example/in?token=open-sesame")
    (held,) = books.deliveries.claim(NOON, lease_s=60, limit=1)
    books.deliveries.retry(held, NOON + timedelta(minutes=5), status=503, error="answered [b]503")
    silent = books.jobs.submit(new_job()).job
    books.database.close()
    shown = hedgerow(tmp_path, "webhooks", "log", job.id, "--tenant", "clinic")
    for words in ("https://clinic.example/in ", "pending", "503", "answered [b]503", "2026-05-04 12:05:00"):
        assert words in shown.stdout, shown.stderr
    assert "open-sesame" not in shown.stdout
    (row,) = json.loads(hedgerow(tmp_path, "webhooks", "log", job.id, "--tenant", "clinic", "--json").stdout)["deliveries"]
    assert (row["id"], row["state"], row["attempts"], row["last_status"]) == (held.id, "pending", 1, 503)
    assert "nothing is delivered" in hedgerow(tmp_path, "webhooks", "log", silent.id, "--tenant", "clinic").stdout


@pytest.mark.parametrize("job", ["nonsense", new_job().id])
def test_a_job_that_is_not_there_is_said_in_one_line(tmp_path: Path, job: str) -> None:
    done = hedgerow(tmp_path, "webhooks", "log", job)
    assert done.returncode == 1
    assert done.stderr == "hedgerow: the tenant default has no job of that id\n"
