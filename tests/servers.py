"""Real servers for tests, private and on free ports, gone when the tests end: PostgreSQL, and those of cloud_servers.py.

A conftest.py takes a fixture by `from tests.servers import postgres_server` and lists it in `__all__`.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from tests.cloud_servers import RabbitServer, RedisServer, S3Server, ServerProcess, free_port, program
from tests.missing import missing

_ACCOUNTS = ("postgres", "nobody")
_USER = "hedgerow"

Server = TypeVar("Server", bound=ServerProcess)


class PostgresServer:
    """A PostgreSQL server with its own empty data folder, on 127.0.0.1 and a free port, with a random password."""

    def __init__(self, programs: Path, folder: Path, *, durable: bool = False) -> None:
        """`durable` keeps fsync on: for measurements only, tests are faster without."""
        self._programs = programs
        self._folder = folder
        self._durable = durable
        self._account = _unprivileged_account()
        self._password = secrets.token_hex(16)
        self._databases = 0
        self.port = free_port()

    def start(self) -> None:
        """Makes the data folder on the first call. Raises RuntimeError with PostgreSQL's own words where it fails."""
        if not (self._folder / "data").exists():
            self._initialise()
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        if not self._durable:
            options += " -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--options", options)

    def stop(self) -> None:
        """Cuts every connection and ends."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "immediate")

    def new_database(self) -> str:
        """Makes an empty database; gives its SQLAlchemy URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self._uri("postgres"), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self._uri(name).replace("postgresql:", "postgresql+psycopg:", 1)

    def _uri(self, database: str) -> str:
        return f"postgresql://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self._password)
        if self._account is not None:
            for path in (self._folder, secret):
                shutil.chown(path, self._account)
        self._run(
            "initdb", "--username", _USER, "--pwfile", str(secret), "--auth", "scram-sha-256", "--encoding", "UTF8",
            "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root. The server that pg_ctl leaves behind inherits the streams: a pipe would stay
        # open, so its words go to a file.
        words = self._folder / "words"
        with words.open("w") as stream:
            done = subprocess.run(
                [self._programs / program, "--pgdata", self._folder / "data", *arguments],
                user=self._account,
                group=None if self._account is None else pwd.getpwnam(self._account).pw_gid,
                extra_groups=None if self._account is None else [],
                cwd=self._folder,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                timeout=60,
                check=False,
            )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {words.read_text()}")


def postgres_programs() -> Path | None:
    """The newest folder with PostgreSQL's server programs: in Debian's place or on the PATH; None without any."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server. Skips where PostgreSQL isn't installed, fails there under CI."""
    programs = postgres_programs()
    if programs is None:
        missing("PostgreSQL's server programs (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="hedgerow-postgres-") as folder:
        server = PostgresServer(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A running Redis. Skips where it isn't installed, fails there under CI."""
    _needs("redis-server", "redis-server (Debian: redis-server)")
    yield from _running("redis", RedisServer)


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """A running RabbitMQ. Skips where it isn't installed, fails there under CI."""
    _needs("rabbitmq-server", "rabbitmq-server (Debian: rabbitmq-server)")
    yield from _running("rabbitmq", RabbitServer)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running server that speaks S3."""
    yield from _running("s3", S3Server)


def _needs(name: str, what: str) -> None:
    try:
        program(name)
    except FileNotFoundError:
        missing(what)


def _running(name: str, kind: Callable[[Path], Server]) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix=f"hedgerow-{name}-", ignore_cleanup_errors=True) as folder:
        server = kind(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.close()


def _unprivileged_account() -> str | None:
    """The account to run under where the tests run as root, else None: the tests' own."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _ACCOUNTS if name in known)
