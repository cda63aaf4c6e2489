"""The real program, started as a user starts it, on free ports with an empty data folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx

from protos.hedgerow.v1 import analysis_pb2_grpc

HEDGEROW = Path(sys.executable).with_name("hedgerow")
ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
START_TIMEOUT_S = 60.0


class GatewayProcess:
    """`hedgerow serve`, ready when the constructor returns."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self._out, self._err = data_dir / "out.txt", data_dir / "err.txt"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
        environment |= {"HEDGEROW_DATA_DIR": str(data_dir), "HEDGEROW_REST_PORT": "0", "HEDGEROW_GRPC_PORT": "0"}
        environment |= {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}
        self.environment = environment
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen([HEDGEROW, "serve"], stdout=out, stderr=err, env=environment, cwd=ROOT)
        ready = self._wait_ready()
        self.url, self.grpc_address = ready["rest"], ready["grpc"]
        found = re.search(r"hgr_\S+", self.welcome)
        self.key = found[0] if found else ""

    @property
    def welcome(self) -> str:
        """What the program printed."""
        return self._out.read_text()

    def logs(self) -> list[dict[str, Any]]:
        """Every line of the log so far."""
        return [json.loads(line) for line in self._err.read_text().splitlines() if line.startswith("{")]

    @property
    def log_text(self) -> str:
        """The log as it is."""
        return self._err.read_text()

    def rest(self, key: str | None = None) -> httpx.Client:
        """A REST client with a key."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def channel(self) -> grpc.Channel:
        """A gRPC channel without limits of its own."""
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        return grpc.insecure_channel(self.grpc_address, options)

    def stub(self, channel: grpc.Channel) -> Any:
        """The service's stub."""
        return analysis_pb2_grpc.AnalysisServiceStub(channel)  # type: ignore[no-untyped-call] # generated code

    def metadata(self, key: str | None = None) -> list[tuple[str, str]]:
        """GRPC metadata with a key."""
        return [("authorization", f"Bearer {self.key if key is None else key}")]

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Another `hedgerow` command on the same data."""
        return subprocess.run(
            [HEDGEROW, *arguments], env=self.environment | {"COLUMNS": "200", **more}, capture_output=True, text=True,
            timeout=120, check=False, cwd=ROOT,
        )

    def worker_pids(self) -> list[int]:
        """The processes that own devices."""
        listed = subprocess.run(["/bin/ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False)
        pids = [int(line.split()[0]) for line in listed.stdout.splitlines() if "edge_runtime.engine" in line]
        assert pids, listed.stdout
        return pids

    def stop(self) -> int:
        """Ends it as systemd does; gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in self.logs():
                if line["event"] == "ready" and "Hedgerow is ready" in self.welcome:
                    return line
            if self.process.poll() is not None:
                raise AssertionError(f"hedgerow serve ended: {self.log_text}")
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(f"not ready in {START_TIMEOUT_S} s: {self.log_text}")
