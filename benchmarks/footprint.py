"""What the gateway costs at rest and on its way: time to ready, memory of the whole tree, time by stage.

    .venv/bin/python benchmarks/footprint.py [--starts 5] [--requests 200]

Prints JSON. Memory is from /proc: resident (RSS, shared pages counted in each process) and proportional (PSS).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.serving_process import memory_mb
from tests.gateway_process import SAMPLES, GatewayProcess

JOBS = {
    "breast_scan.jpg": "/v1/domains/pathology/analyses?exam=breast_ultrasound",
    "lung_scan.png": "/v1/domains/pathology/analyses?exam=lung_ultrasound",
    "field.jpg": "/v1/domains/crop_weed/analyses",
}


def start_times_s(count: int) -> list[float]:
    """Seconds from the start of the command to readiness, first start of the count not kept (it fills caches)."""
    times = []
    for _ in range(count + 1):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            with GatewayProcess(Path(folder)):
                times.append(round(time.monotonic() - begun, 2))
    return times[1:]


def stages_ms(client: httpx.Client, file: str, path: str, count: int) -> dict[str, float]:
    """Median milliseconds of each stage, one request at a time."""
    content = (SAMPLES / file).read_bytes()
    rows = [client.post(path, content=content).json()["provenance"]["timings_ms"] for _ in range(count)]
    return {stage: round(statistics.median(row[stage] for row in rows), 2) for stage in rows[0]}


def throughput(client: httpx.Client, file: str, path: str, count: int, at_once: int) -> float:
    """Requests a second with so many in flight."""
    content = (SAMPLES / file).read_bytes()
    with ThreadPoolExecutor(at_once) as threads:
        begun = time.monotonic()
        list(threads.map(lambda _: client.post(path, content=content).raise_for_status(), range(count)))
        return round(count / (time.monotonic() - begun), 1)


def main() -> None:
    """Runs all and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=200)
    wanted = parser.parse_args()
    report: dict[str, object] = {"ready_s": start_times_s(wanted.starts)}
    with tempfile.TemporaryDirectory() as folder, GatewayProcess(Path(folder)) as gateway, gateway.rest() as client:
        pids = [gateway.process.pid, *gateway.worker_pids()]
        report["processes"] = len(pids)
        report["memory_at_rest"] = memory_mb(pids)
        report["stages_ms"] = {file: stages_ms(client, file, path, wanted.requests // 4) for file, path in JOBS.items()}
        report["requests_per_s"] = {
            file: {str(n): throughput(client, file, path, wanted.requests, n) for n in (1, 4, 16)}
            for file, path in JOBS.items()
        }
        report["memory_after_load"] = memory_mb(pids)
    report["machine"] = subprocess.run(["/usr/bin/nproc"], capture_output=True, text=True, check=True).stdout.strip() + " cores"
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
