"""What the scenarios of benchmarks/durability.py run against: a gateway that may be killed at any moment and is started
again on the same data, and a database for it.
"""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import httpx

from tests.gateway_process import HEDGEROW, ROOT
from tests.servers import PostgresServer, postgres_programs

START_S = 60.0
_ERROR = re.compile(r'"level": ?"error"|^Traceback|^\w*Error\b')
_OF_THE_MOMENT = re.compile(r'"(timestamp|job_id|request_id|analysis_id)": ?"[^"]*"(, ?)?')


class SkippedError(Exception):
    """A scenario can't run here; the message says why."""


class Bench:
    """One run of the benchmark: its folder, how much of everything, and chance."""

    def __init__(self, folder: Path, *, quick: bool, seed: int) -> None:
        self.folder, self.quick = folder, quick
        self.chance = random.Random(seed)

    def of(self, full: int, quick: int) -> int:
        """How much of something."""
        return quick if self.quick else full


class Gateway:
    """`hedgerow serve` with a port, a data folder and a key that it keeps over its kills.

    `folder`: for its logs, one for each start. `data`: inside it unless given. `key`: of a gateway that shares the database;
    else the one that the very first start prints. `more`: further settings, by name.
    """

    def __init__(
        self, folder: Path, *, data: Path | None = None, host: str = "127.0.0.1", key: str = "", database_url: str = "",
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.key, self.starts, self.started_at, self.first_start_s = key, 0, 0.0, 0.0
        self.data = folder / "data" if data is None else data
        self.database_url = database_url or f"sqlite:///{self.data / 'hedgerow.db'}"
        port = _free_port(host)
        self.url = f"http://{host}:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "data_dir": str(self.data), "host": host, "rest_port": str(port), "grpc_port": "0", "database_url": database_url,
            **(more or {}),
        }
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
        self._environment |= {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}

    def start(self) -> None:
        """Starts it and doesn't wait."""
        self.starts += 1
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self._process = subprocess.Popen([HEDGEROW, "serve"], stdout=out, stderr=log, env=self._environment, cwd=ROOT)
        self.started_at = time.monotonic()

    def wait_ready(self) -> None:
        """Raises RuntimeError with the end of its log where it doesn't become ready."""
        while not self.is_ready:
            if time.monotonic() - self.started_at > START_S or self._running.poll() is not None:
                raise RuntimeError(f"the gateway isn't ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)
        self.first_start_s = self.first_start_s or time.monotonic() - self.started_at
        found = re.search(r"hgr_\S+", self._out.read_text())
        self.key = self.key or (found[0] if found else "")

    @property
    def is_ready(self) -> bool:
        """Whether it has said so since its last start."""
        return "Hedgerow is ready" in self._out.read_text()

    def kill(self) -> None:
        """With -9. The processes that own its devices are left to find out by themselves."""
        self._running.kill()
        self._running.wait()

    def stop(self) -> None:
        """As systemd does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    def rest(self, key: str = "") -> httpx.Client:
        """A client with its key, or another one."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key or self.key}"}, timeout=30)

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another `hedgerow` command on the same data, whatever becomes of it."""
        return subprocess.run(
            [HEDGEROW, *words], env=self._environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )

    def errors(self) -> list[str]:
        """Every line that its logs have as an error, without the moment, each once."""
        lines = [line for log in self._folder.glob("log-*.txt") for line in log.read_text().splitlines()]
        wrong = [line for line in lines if _ERROR.search(line)]
        return sorted({_OF_THE_MOMENT.sub("", line) for line in wrong})

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the gateway was never started")
        return self._process

    @property
    def _out(self) -> Path:
        return self._folder / f"out-{self.starts:03}.txt"

    @property
    def _log(self) -> Path:
        return self._folder / f"log-{self.starts:03}.txt"


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a private PostgreSQL, which syncs as one in production does. Raises SkippedError."""
    programs = postgres_programs()
    if programs is None:
        raise SkippedError("PostgreSQL's server programs aren't installed (Debian: postgresql)")
    with TemporaryDirectory(prefix="hedgerow-postgres-") as folder:
        server = PostgresServer(programs, Path(folder), durable=True)
        server.start()
        try:
            yield server.new_database()
        finally:
            server.stop()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
