"""`hedgerow cloud worker` says in one line why it can't start, and what loads which libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloud_servers import ServerProcess
from tests.gateway_process import HEDGEROW, ROOT

S3_STORE = {
    "cloud_store": "s3://bucket/place",
    "cloud_store_options": json.dumps({
        "endpoint": "http://USER:WORD@127.0.0.1:9", "region": "r", "access_key_id": "KEY", "secret_access_key": "SECRET",
        "allow_http": "true",
    }),
}


def worker(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command's end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    environment |= {"HEDGEROW_DATA_DIR": str(folder)} | {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [HEDGEROW, "cloud", "worker"], env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("settings", "status", "why"), [
    ({}, 1, "HEDGEROW_CLOUD_BROKER names no broker"),
    ({"cloud_broker": "http://127.0.0.1"}, 2, "HEDGEROW_CLOUD_BROKER: is no redis://HOST"),
    ({"cloud_store": "file:///no/such/folder"}, 1, "there is no folder /no/such/folder"),
    (S3_STORE, 1, "the object store s3://bucket/place at http://127.0.0.1:9 can't be reached"),
    (S3_STORE | {"cloud_store_options": '{"colour": "blue"}'}, 1, "no option colour"),
])
def test_what_a_worker_lacks_is_told_in_one_line(
    redis_server: ServerProcess, tmp_path: Path, settings: dict[str, str], status: int, why: str
) -> None:
    given = {"cloud_broker": redis_server.url} | settings if settings else {}
    done = worker(tmp_path, **given)
    assert (done.returncode, done.stdout) == (status, "")
    assert why in last_line(done)
    assert last_line(done).startswith("hedgerow: ")
    for secret in ("WORD", "KEY", "SECRET", redis_server.password, "Traceback"):
        assert secret not in done.stderr


@pytest.mark.parametrize("kind", ["redis_server", "rabbitmq_server"])
def test_a_broker_that_refuses_the_password_is_told_at_once(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    broker: ServerProcess = request.getfixturevalue(kind)
    done = worker(tmp_path, cloud_broker=broker.url.replace(broker.password, "GUESSED"), cloud_store=tmp_path.as_uri())
    assert done.returncode == 1
    assert "the broker refuses the user, the password" in last_line(done)
    assert "GUESSED" not in done.stderr


def test_what_is_missing_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.cloud import config

    assert config.lacking_library() == ""
    monkeypatch.setattr(config, "_LIBRARIES", ("celery", "no_such_library"))
    assert config.lacking_library() == "no_such_library is not installed: pip install 'hedgerow[cloud]' brings it"


@pytest.mark.parametrize(("imported", "absent"), [
    ("gateway.cloud.link", ("numpy", "cv2", "av")),
    ("gateway.cloud.worker", ("numpy", "cv2", "av")),
    ("gateway.cloud.config", ("celery", "obstore", "redis", "kombu")),
    ("gateway.app", ("celery", "obstore", "redis", "kombu")),
])
def test_a_gateway_loads_no_more_than_it_needs(imported: str, absent: tuple[str, ...]) -> None:
    asked = f"import sys, {imported}; print(*[name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
