"""How long one run takes at one thread: all variants take turns in one process, so that what else the machine does meets
all of them alike, and a ratio is one of the same seconds.
"""

import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from domains.core import InputSpec
from edge_runtime.toolchain.interpret import Runner
from edge_runtime.toolchain.report.rows import FLOAT32, Latency

TURN = 5
"""Timed runs of a turn; one more before them isn't timed, since it finds the caches full of the others' numbers."""
WARM_UP = 5
Say = Callable[[str], None]


def race(files: Mapping[str, Path], spec: InputSpec, runs: int, say: Say) -> dict[str, Latency]:
    """Milliseconds of each variant, float32 among them, from at least `runs` timed runs of each.

    The picture is noise: how long these operations take doesn't depend on the numbers. Setting the input and reading the
    outputs is part of a run, turning pixels into the input isn't. Raises ValueError for a file that can't be run.
    """
    pixels = np.random.default_rng(0).integers(0, 256, spec.shape, np.uint8)
    ready = {name: (runner := Runner(path, spec=spec), runner.encode(pixels)) for name, path in files.items()}
    for runner, tensor in ready.values():
        _turn(runner, tensor, WARM_UP)
    rounds = -(-runs // TURN)
    taken: dict[str, list[list[float]]] = {name: [] for name in files}
    names = list(files)
    told = time.monotonic()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for name in names[number % len(names):] + names[: number % len(names)]:
                taken[name].append(_turn(*ready[name], TURN))
            if time.monotonic() - told > 2:
                told = time.monotonic()
                say(f"latency: round {number + 1} of {rounds}")
    finally:
        if collecting:
            gc.enable()
    return summarise(taken)


def summarise(taken: Mapping[str, list[list[float]]]) -> dict[str, Latency]:
    """From each variant's milliseconds, a list a round, float32 among them."""
    reference = np.median(taken[FLOAT32], axis=1)
    found = {}
    for name, rounds in taken.items():
        q1, median, q3 = np.quantile(rounds, [0.25, 0.5, 0.75])
        speed = np.median(reference / np.median(rounds, axis=1))
        found[name] = Latency(round(float(median), 4), round(float(q1), 4), round(float(q3), 4), round(float(speed), 3))
    return found


def others() -> float | None:
    """Seconds of CPU that all processes but this one have taken since the machine started, time stolen by other virtual machines among
    them; None where the system doesn't tell (`/proc/stat`, Linux).
    """
    try:
        with Path("/proc/stat").open(encoding="ascii") as stat:
            user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def _turn(runner: Runner, tensor: Any, count: int) -> list[float]:
    runner.invoke_raw(tensor)
    taken = []
    for _ in range(count):
        began = time.perf_counter_ns()
        runner.invoke_raw(tensor)
        taken.append((time.perf_counter_ns() - began) / 1e6)
    return taken
