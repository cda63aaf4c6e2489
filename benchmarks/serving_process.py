"""What a server costs, as the kernel counts it: CPU time, page faults and memory of a process and all of its descendants.

Also the protocol between a benchmark and the programs that do work for it: each says `ready` once it is warm, begins at the first
line on its standard input, and ends with one line of JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(256 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024)}
"""What Hedgerow sets for its own workers (edge_runtime/device.py)."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds and minor page faults so far, by process id."""

    cpu_s: Mapping[int, float]
    faults: Mapping[int, int]

    def since(self, earlier: "Spent") -> tuple[float, int]:
        """CPU seconds and faults between the two, of processes that live now; one that is new counts from its start."""
        return (sum(seconds - earlier.cpu_s.get(pid, 0.0) for pid, seconds in self.cpu_s.items()),
                sum(faults - earlier.faults.get(pid, 0) for pid, faults in self.faults.items()))


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # the thread has ended
    return found


def spent(root: int) -> Spent:
    """What a tree has used up."""
    cpu_s, faults = {}, {}
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu_s[pid], faults[pid] = (int(fields[11]) + int(fields[12])) * _TICK_S, int(fields[7])
    return Spent(cpu_s, faults)


def memory_mb(pids: Sequence[int]) -> dict[str, float]:
    """Resident (RSS, shared pages counted in each process) and proportional memory (PSS) of processes together, in MB."""
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        for line in lines:
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0])
    return {f"{name.lower()}_mb": round(kilobytes / 1000, 1) for name, kilobytes in total.items()}


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """What is started meanwhile runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def environment(**more: str) -> Iterator[None]:
    """What is started meanwhile has these variables too."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Helper:
    """A program of this folder that speaks the protocol. It is warm when the constructor returns."""

    def __init__(self, script: str, task: Mapping[str, Any], cores: Sequence[int], **more: str) -> None:
        self._script = script
        with on_cores(cores):
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name(script), json.dumps(task)], env={**os.environ, **more},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
        self._expect("ready")

    def begin(self) -> None:
        """Lets it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it found, once it is done. Raises RuntimeError where it failed."""
        told, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"{self._script}: exit status {self._process.returncode}")
        found: dict[str, Any] = json.loads(told)
        return found

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            self._process.communicate()
            raise RuntimeError(f"{self._script}: {line!r} instead of {word!r}")


def take_part() -> None:
    """For a helper: says that it is warm and waits for the beginning."""
    print("ready", flush=True)
    sys.stdin.readline()


def wait_until(ready: Any, process: subprocess.Popen[bytes], what: str) -> None:
    """Until `ready()` is true. Raises RuntimeError where the process ends or takes too long."""
    deadline = time.monotonic() + READY_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not become ready (exit status {process.poll()})")
        time.sleep(0.02)
