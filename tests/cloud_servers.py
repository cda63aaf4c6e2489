"""What the cloud tier stands on, for tests and benchmarks: a private Redis, RabbitMQ and S3, on free ports.

Each can be ended, killed, frozen and started again on the same port with what it had on its disk. A conftest.py takes the
fixtures from tests/servers.py.
"""

import contextlib
import http
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

_USER = "hedgerow"
_POLL_S = 0.05
_STOP_TIMEOUT_S = 30.0
_START_TIMEOUT_S = 90.0


class ServerProcess(ABC):
    """A server process with a folder of its own, on 127.0.0.1, with a random password."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, with user and password where it has them in its URL."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """What to run in the foreground."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it serves; asked while it starts."""

    def _environment(self) -> Mapping[str, str]:
        """All of its environment."""
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Returns once it serves, with what was there before. Raises RuntimeError with its own words where it can't."""
        words = self.folder / "words"
        with words.open("ab") as stream:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=stream,
                stderr=stream, start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{type(self).__name__} doesn't start: {words.read_text(errors='replace')[-3000:]}")
            time.sleep(_POLL_S)

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends it as its service manager would: what it keeps is on the disk then."""
        self._signal(signal.SIGTERM)
        self._wait(_STOP_TIMEOUT_S)

    def kill(self) -> None:
        """As a crash would."""
        self._signal(signal.SIGKILL)
        self._wait(_STOP_TIMEOUT_S)

    def freeze(self) -> None:
        """It holds its connections and answers nothing, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Leaves no process behind."""
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _wait(self, seconds: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(seconds)
        self._signal(signal.SIGKILL)  # children that it left
        self._process = None


class RedisServer(ServerProcess):
    """Redis with its append-only file, which survives `kill`."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """`durable`: the file is on the disk before each answer, so that it survives a loss of power too."""
        super().__init__(folder)
        self._fsync = "always" if durable else "everysec"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _command(self) -> Sequence[str | Path]:
        secret = self.folder / "redis.conf"
        secret.touch(mode=0o600)
        secret.write_text(f"requirepass {self.password}\n")
        return (
            program("redis-server"), secret, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.folder,
            "--save", "", "--appendonly", "yes", "--appendfsync", self._fsync,
        )

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                said = b""
                while chunk := connection.recv(64):
                    said += chunk
                    if b"PONG" in said or b"LOADING" in said:
                        return b"PONG" in said
        except OSError:
            pass
        return False


class RabbitServer(ServerProcess):
    """RabbitMQ with a node name, an Erlang cookie and a port mapper (epmd) of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mapper_port, self._node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://{_USER}:{self.password}@127.0.0.1:{self.port}//"

    @property
    def _node(self) -> str:
        return f"hedgerow-{self.port}@localhost"

    def start(self) -> None:
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                [program("epmd"), "-port", str(self._mapper_port), "-address", "127.0.0.1"], env=self._environment(),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        super().start()

    def close(self) -> None:
        super().close()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` answers. Raises CalledProcessError."""
        done = subprocess.run(
            [program("rabbitmqctl"), "--quiet", "--node", self._node, *words], env=self._environment(), cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
        )
        return done.stdout

    def _command(self) -> Sequence[str | Path]:
        config = self.folder / "rabbitmq.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\ndefault_user = {_USER}\ndefault_pass = {self.password}\n"
            f"distribution.listener.interface = 127.0.0.1\nlog.file = false\nlog.console = true\nlog.console.level = warning\n"
            f"disk_free_limit.absolute = 10MB\n"
        )
        (self.folder / "plugins").write_text("[].\n")
        return (program("rabbitmq-server"),)

    def _environment(self) -> Mapping[str, str]:
        folder = self.folder
        return {
            **super()._environment(), "HOME": str(folder), "RUNNING_UNDER_SYSTEMD": "true", "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self._node_port),
            "ERL_EPMD_PORT": str(self._mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"), "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"), "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(5)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False


class S3Server(ServerProcess):
    """moto's server, which keeps everything in memory: it forgets all when it ends. Any key is right."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, str]:
        """For HEDGEROW_CLOUD_STORE_OPTIONS. The secret is this server's own."""
        return {
            "endpoint": self.url, "region": "us-east-1", "access_key_id": "hedgerow", "secret_access_key": self.password,
            "allow_http": "true",
        }

    def new_bucket(self) -> str:
        """Makes an empty bucket; gives its name."""
        name = f"bucket-{secrets.token_hex(8)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("PUT", f"/{name}")
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"no bucket was made: {answer.status}")
        finally:
            connection.close()
        return name

    def _command(self) -> Sequence[str | Path]:
        return (Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(self.port))

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def program(name: str) -> Path:
    """A server's program. Raises FileNotFoundError where it isn't installed."""
    for place in ("/usr/lib/rabbitmq/bin", "/usr/bin", "/usr/sbin"):  # Debian's wrapper in /usr/sbin changes the account
        if (found := Path(place, name)).exists():
            return found
    elsewhere = shutil.which(name)
    if elsewhere is None:
        raise FileNotFoundError(name)
    return Path(elsewhere)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
