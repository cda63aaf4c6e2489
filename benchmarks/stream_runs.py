"""What the scenarios of benchmarks/streams.py need: gateways, client processes that run together, memory, slow devices."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.serving_process import memory_mb
from benchmarks.stream_frames import frames_of_clip, moving_still, write_frames
from benchmarks.stream_records import Plan, Record
from edge_runtime.embedded import package_folders
from edge_runtime.timing import BUSES, profile_of, run_s
from gateway.console.plan_input import package_files
from tests.gateway_process import HEDGEROW, ROOT, SAMPLES, GatewayProcess

TPU = "simulated:usb3"
HEAD_START_S = 4.0
"""From the start of client processes to the first frame, for their imports."""
END_S = 180.0
"""What a client process may take after its last frame."""
JPEG_QUALITY = 85
NARROW_JPEG_QUALITY = 60


class Verdict(msgspec.Struct):
    """One thing that a scenario must show, with the number that decides."""

    claim: str
    figure: str
    ok: bool


class Outcome(msgspec.Struct):
    """What a scenario found."""

    figures: dict[str, Any]
    verdicts: list[Verdict]


class Bench:
    """One run of the benchmark: its folder, its frames, and how long things take."""

    def __init__(self, folder: Path, *, clip: Path | None, quick: bool, minutes: float) -> None:
        self.folder, self.quick, self.minutes = folder, quick, minutes
        frames = frames_of_clip(clip) if clip else moving_still(SAMPLES / "lung_scan.png")
        self.frames_file, self.narrow_frames_file = folder / "frames", folder / "narrow_frames"
        self.frame_bytes = write_frames(frames, self.frames_file, JPEG_QUALITY)
        self.narrow_frame_bytes = write_frames(frames, self.narrow_frames_file, NARROW_JPEG_QUALITY)
        self._runs = 0

    def seconds(self, full: float, quick: float) -> float:
        """How long something takes."""
        return quick if self.quick else full

    @contextmanager
    def gateway(self, before: Callable[[Path], None] | None = None, **settings: str) -> Iterator[GatewayProcess]:
        """A gateway with an empty data folder, to which `before` may do something."""
        with TemporaryDirectory(dir=self.folder) as data:
            if before is not None:
                before(Path(data))
            with GatewayProcess(Path(data), **settings) as gateway:
                yield gateway

    def plan(self, gateway: GatewayProcess, seconds: float, **more: Any) -> Plan:
        """What a client process is to do; when it begins is left open."""
        return Plan(address=gateway.grpc_address, key=gateway.key, begin_at=0.0, seconds=seconds,
                    **{"frames_file": str(self.frames_file)} | more)

    def run(
        self, *plans: Plan, during: Callable[[float], None] | None = None, before: Sequence[str] = (),
    ) -> list[list[Record]]:
        """Client processes that begin together, and what each wrote down. `during` is called with the moment at which they
        begin, while they run; `before`: words before their command. Raises RuntimeError where one fails.
        """
        begin_at = time.monotonic() + HEAD_START_S
        running = []
        for plan in plans:
            self._runs += 1
            told, kept = self.folder / f"plan-{self._runs}", self.folder / f"records-{self._runs}"
            told.write_bytes(msgspec.json.encode(msgspec.structs.replace(plan, begin_at=begin_at)))
            client = Path(__file__).with_name("stream_client.py")
            running.append((subprocess.Popen([*before, sys.executable, str(client), str(told), str(kept)], cwd=ROOT), kept))
        try:
            if during is not None:
                during(begin_at)
            latest = begin_at + max(plan.seconds for plan in plans) + END_S
            for process, _ in running:
                if process.wait(max(1.0, latest - time.monotonic())):
                    raise RuntimeError(f"a client process ended with {process.returncode}")
        finally:
            for process, _ in running:
                process.kill()
        return [msgspec.json.decode(kept.read_bytes(), type=list[Record]) for _, kept in running]


def tree_memory_mb(pid: int) -> float:
    """Proportional memory (PSS) of a process and all below it, in MB. A process that ends meanwhile counts nothing."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            total += memory_mb([one])["pss_mb"]
        except (FileNotFoundError, ProcessLookupError, KeyError):
            continue
    return total


def modelled_run_s(model: str) -> float:
    """What the simulated device takes for one run of a shipped model, as it is modelled."""
    path = package_files(package_folders(()))[model]
    return run_s(profile_of(path, name=model), BUSES["usb3"])


def command_slow(data: Path, factor: float) -> None:
    """The simulated device of a gateway with that data folder takes so many times as long."""
    command = [str(HEDGEROW), "simulate", TPU, "slow", "--factor", f"{factor:.3f}"]
    subprocess.run(command, env={**os.environ, "HEDGEROW_DATA_DIR": str(data)}, check=True, capture_output=True, cwd=ROOT)


def simulated_devices() -> str:
    """The setting `devices` with nothing but the simulated device."""
    return json.dumps([TPU])
