"""What a variant takes of the memory: each is loaded and run once in a process of its own (`peak.py`)."""

import statistics
import subprocess
import sys
from pathlib import Path

from domains.core import InputSpec
from edge_runtime.toolchain.report.peak import STATUS

TRIES = 3
LIMIT_S = 300


def peak_bytes(path: Path, spec: InputSpec) -> int | None:
    """The greatest resident memory of loading and one run at one thread, less what was resident before: Python, numpy and
    the interpreter. The median of three processes; None where the system doesn't tell it. Raises ValueError, naming the
    file, where the process ends.
    """
    if not STATUS.is_file():
        return None
    return int(statistics.median(_ask(path, spec) for _ in range(TRIES)))


def _ask(path: Path, spec: InputSpec) -> int:
    command = [sys.executable, "-m", "edge_runtime.toolchain.report.peak", str(path), *map(str, spec.shape)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{path.name}: one run takes more than {LIMIT_S} s in a process of its own") from error
    if done.returncode:
        raise ValueError(f"{path.name} can't be run in a process of its own (it ended with {done.returncode})")
    return int(done.stdout)
