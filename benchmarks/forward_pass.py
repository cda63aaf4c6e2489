"""How long one forward pass of each shipped model takes at one thread on this machine, and how large the packages are.

    .venv/bin/python benchmarks/forward_pass.py [--runs 200] [--json FILE]

All models take turns in one process, so that what else the machine does meets all of them alike. Prints Markdown. Setting the input
and reading the outputs is part of a pass, turning pixels into the input isn't. A photo of a field takes several passes.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from domains.core import InputSpec
from edge_runtime.embedded import package_folders
from edge_runtime.models import load_package, twin_of
from edge_runtime.toolchain.interpret import Runner
from edge_runtime.toolchain.report.machine import machine

RUNS = 200
TURN = 5
"""Timed passes in a row; one more before them finds the caches full of the others' numbers and isn't timed."""
LIMIT_MB = 40


def measure(runs: int) -> dict[str, Any]:
    """Medians and quartiles in milliseconds by package and variant, sizes in MB, and the machine, as JSON values."""
    ready, sizes = {}, {}
    random = np.random.default_rng(0)
    for folder in package_folders(()):
        package = load_package(folder)
        sizes[package.spec.name] = round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6, 2)
        for variant in package.manifest.variants:
            if twin_of(variant) == variant:
                runner = Runner(package.path_of(variant), 1, spec=package.spec.input)
                ready[package.spec.name, variant] = runner, runner.encode(pixels(package.spec.input, random))
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in ready}
    keys = list(ready)
    for number in range(-(-runs // TURN)):
        for key in keys[number % len(keys):] + keys[: number % len(keys)]:
            runner, tensor = ready[key]
            taken[key] += turn(runner, tensor)
    here = machine()
    return {
        "machine": here.cpu, "load": round(os.getloadavg()[0], 2), "runs": runs, "limit_mb": LIMIT_MB,
        "total_mb": round(sum(sizes.values()), 2), "size_mb": sizes,
        "passes": [{"model": name, "variant": variant, **quartiles(times)} for (name, variant), times in taken.items()],
    }


def pixels(spec: InputSpec, random: np.random.Generator) -> Any:
    """Noise of the input's shape: how long these operations take doesn't depend on the numbers."""
    return random.integers(0, 256, spec.shape, np.uint8)


def turn(runner: Runner, tensor: Any) -> list[float]:
    """Milliseconds of TURN passes."""
    runner.invoke_raw(tensor)
    times = []
    for _ in range(TURN):
        began = time.perf_counter_ns()
        runner.invoke_raw(tensor)
        times.append((time.perf_counter_ns() - began) / 1e6)
    return times


def quartiles(times: list[float]) -> dict[str, float]:
    """Milliseconds, to two digits."""
    q1, median, q3 = np.quantile(times, [0.25, 0.5, 0.75])
    return {"q1_ms": round(float(q1), 2), "median_ms": round(float(median), 2), "q3_ms": round(float(q3), 2)}


def page(found: dict[str, Any]) -> str:
    """Markdown."""
    rows = [f"| {row['model']} | {row['variant']} | {row['median_ms']} | {row['q1_ms']} to {row['q3_ms']} |" for row in found["passes"]]
    sizes = ", ".join(f"{name} {size} MB" for name, size in found["size_mb"].items())
    return "\n".join([
        f"One thread on {found['machine']}, {found['runs']} passes each in turns, load {found['load']}.", "",
        "| model | variant | median, ms | quartiles, ms |", "|---|---|---:|---:|", *rows, "",
        f"Packages: {sizes}; {found['total_mb']} MB in all ({found['limit_mb']} allowed).",
    ])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", type=Path, help="write the numbers into this file, too")
    asked = parser.parse_args()
    found = measure(asked.runs)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
