"""`hedgerow cloud worker` as an operator starts it, for tests and benchmarks."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.gateway_process import HEDGEROW, ROOT

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0


class CloudWorkerProcess:
    """A worker with a data folder of its own. Takes messages when the constructor returns, unless told not to wait."""

    def __init__(
        self, folder: Path, broker: str, store: str, options: Mapping[str, str] | None = None, *, waits: bool = True,
        **settings: str,
    ) -> None:
        """`options`: of an S3 store; `settings`: further ones, by their names in lower case."""
        folder.mkdir(parents=True, exist_ok=True)
        self._words = folder / "worker.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
        environment |= {
            "HEDGEROW_DATA_DIR": str(folder), "HEDGEROW_CLOUD_BROKER": broker, "HEDGEROW_CLOUD_STORE": store,
            "HEDGEROW_CLOUD_STORE_OPTIONS": json.dumps(dict(options or {})),
        }
        environment |= {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}
        with self._words.open("a") as words:
            self.process = subprocess.Popen(
                [HEDGEROW, "cloud", "worker"], stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=environment, cwd=ROOT
            )
        if waits:
            self.wait_for("ready")

    @property
    def log_text(self) -> str:
        """All that it wrote."""
        return self._words.read_text()

    def logs(self) -> list[dict[str, Any]]:
        """Every line of the log so far."""
        return [json.loads(line) for line in self.log_text.splitlines() if line.startswith("{")]

    def wait_for(self, event: str) -> dict[str, Any]:
        """The first line of the log about it. Raises AssertionError where it doesn't come."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in self.logs():
                if line["event"] == event:
                    return line
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended: {self.log_text}")
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"no {event!r} in {START_TIMEOUT_S} s: {self.log_text}")

    def device_pids(self) -> list[int]:
        """The processes that run its models."""
        listed = subprocess.run(
            ["/bin/ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(line.split()[0]) for line in listed.stdout.splitlines() if "edge_runtime.engine" in line]

    def freeze_models(self) -> list[int]:
        """Whatever it works on is never done, until the processes given get SIGCONT."""
        pids = self.device_pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return pids

    def kill(self) -> None:
        """As the kernel does where memory is short; what it left behind goes as well."""
        pids = self.device_pids()
        self.process.kill()
        self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def stop(self) -> int:
        """As a service manager does; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()
