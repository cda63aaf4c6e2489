"""The real `hedgerow node serve`, started as a user starts it, on a free port and with an empty data folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

HEDGEROW = Path(sys.executable).with_name("hedgerow")
ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0


class NodeProcess:
    """A node of the CPU alone, ready when the constructor returns. `before`: words before the command."""

    def __init__(
        self, folder: Path, *options: str, program: Path = HEDGEROW, before: Sequence[str] = (), listen: str = "127.0.0.1:0",
        cwd: Path = ROOT,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "node.log"
        command = [*before, str(program), "node", "serve", "--listen", listen, "--device", "cpu", "--data", str(folder / "data")]
        with self._log.open("w") as log:
            self.process = subprocess.Popen([*command, *options], stderr=log, cwd=cwd, start_new_session=True)
        self.address = str(self._wait_ready()["address"])

    def logs(self) -> list[dict[str, Any]]:
        """Every line of the log so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def signal(self, number: signal.Signals) -> None:
        """Sends it, and the processes of its devices, a signal."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """As a power cut would."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def _wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in self.logs():
                if line["event"] == "ready":
                    return line
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"no node: {self._log.read_text()}")


class Cable:
    """A network namespace at the other end of a virtual cable, which can be pulled. Skips the test where it isn't permitted."""

    SPACE = "hedgerow-test"
    NEAR_END, FAR_END = "hedgerow-t0", "hedgerow-t1"
    NEAR, FAR = "10.213.9.1", "10.213.9.2"

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("a network of its own needs root and the command ip (Debian: iproute2)")
        self._remove()
        try:
            _ip("netns", "add", self.SPACE)
            _ip("link", "add", self.NEAR_END, "type", "veth", "peer", "name", self.FAR_END, "netns", self.SPACE)
        except subprocess.CalledProcessError as error:
            self._remove()
            pytest.skip(f"no network of its own can be made here: {error.stderr.decode().strip()}")
        _ip("addr", "add", f"{self.NEAR}/24", "dev", self.NEAR_END)
        _ip("link", "set", self.NEAR_END, "up")
        _ip("-n", self.SPACE, "addr", "add", f"{self.FAR}/24", "dev", self.FAR_END)
        _ip("-n", self.SPACE, "link", "set", self.FAR_END, "up")
        _ip("-n", self.SPACE, "link", "set", "lo", "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._remove()

    @property
    def inside(self) -> list[str]:
        """Words that put a command at the far end."""
        return ["ip", "netns", "exec", self.SPACE]

    def pull(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        _ip("-n", self.SPACE, "link", "set", self.FAR_END, "down")

    def plug(self) -> None:
        """It is in again."""
        _ip("-n", self.SPACE, "link", "set", self.FAR_END, "up")

    def _remove(self) -> None:
        for words in (("netns", "del", self.SPACE), ("link", "del", self.NEAR_END)):
            subprocess.run(["ip", *words], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
