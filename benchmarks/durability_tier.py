"""What the cloud scenarios of benchmarks/durability.py stand on: brokers, a worker that may be killed, what a gateway is set
to, what happens to all of them, and what the object store holds.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.durability_gateway import SkippedError
from gateway.cloud.config import lacking_library
from tests.cloud_servers import RabbitServer, RedisServer, program
from tests.gateway_process import HEDGEROW, ROOT

CONSENT = {"Hedgerow-Consent": "cloud"}
WORKER_START_S = 90.0
Broker = RedisServer | RabbitServer


def check_cloud() -> None:
    """Raises SkippedError where the cloud tier can't run here."""
    if lacking := lacking_library():
        raise SkippedError(lacking)
    _check_program("tesseract", "Tesseract (Debian: tesseract-ocr), without which nothing leaves")


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A private Redis that isn't started. It syncs before each answer. Raises SkippedError."""
    _check_program("redis-server", "Redis (Debian: redis-server)")
    with TemporaryDirectory(prefix="hedgerow-redis-", ignore_cleanup_errors=True) as folder:
        server = RedisServer(Path(folder), durable=True)
        try:
            yield server
        finally:
            server.close()


@contextmanager
def rabbitmq() -> Iterator[RabbitServer]:
    """A private RabbitMQ that isn't started. Raises SkippedError."""
    _check_program("rabbitmq-server", "RabbitMQ (Debian: rabbitmq-server)")
    with TemporaryDirectory(prefix="hedgerow-rabbitmq-", ignore_cleanup_errors=True) as folder:
        server = RabbitServer(Path(folder))
        try:
            yield server
        finally:
            server.close()


def cloud_settings(folder: Path, broker: Broker, routes: list[dict[str, Any]], **more: str) -> dict[str, str]:
    """Of a gateway and a worker over `broker` and an object store in `folder`. `more` goes before what is said here."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "secret"
    if not secret.exists():
        secret.write_bytes(secrets.token_hex(32).encode())
    return {
        "cloud_broker": broker.url, "cloud_store": f"file://{folder / 'objects'}", "pseudonym_secret_file": str(secret),
        "routes": json.dumps(routes), **more,
    }


class Worker:
    """`hedgerow cloud worker` with a data folder of its own. `settings`: those of the gateway that name the cloud tier."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.starts, self.started_at = 0, 0.0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        mine = {name: value for name, value in settings.items() if name.startswith("cloud_")}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
        self._environment |= {f"HEDGEROW_{name.upper()}": value for name, value in mine.items()}
        self._environment["HEDGEROW_DATA_DIR"] = str(folder / "data")

    def start(self) -> None:
        """Starts it and doesn't wait."""
        self.starts += 1
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [HEDGEROW, "cloud", "worker"], stdout=log, stderr=log, env=self._environment, cwd=ROOT,
            )
        self.started_at = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Whether it has said so since its last start."""
        return '"event": "ready"' in self._log.read_text()

    def wait_ready(self) -> None:
        """Raises RuntimeError with the end of its log where it doesn't become ready."""
        while not self.is_ready:
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() - self.started_at > WORKER_START_S:
                raise RuntimeError(f"the worker isn't ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """With -9. The process that owns its device is left to find out by itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """As systemd does; it finishes what runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def _log(self) -> Path:
        return self._folder / f"worker-{self.starts:03}.txt"


def objects_in(folder: Path) -> dict[str, bytes]:
    """What the object store in `folder` holds, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        except FileNotFoundError:
            continue  # the gateway clears away what is answered
    return found


def _check_program(name: str, what: str) -> None:
    try:
        program(name)
    except FileNotFoundError:
        raise SkippedError(f"{what} isn't installed") from None
