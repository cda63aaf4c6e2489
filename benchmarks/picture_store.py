"""What it costs to put an upload on the disk, while all cores are at work: as the gateway does it, and with a file for each upload.

    .venv/bin/python benchmarks/picture_store.py [--kilobytes 358] [--rounds 6] [--folder DIR]

Both keep what they are given through a loss of power, and take turns in one run. The CPU is what the processes that keep the cores busy lost
meanwhile, so that the kernel's share is in it whoever it is charged to.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.folders import sync_folder
from edge_runtime.thread_priority import yield_to_short_work
from gateway.service.records import new_id
from gateway.store.images import FolderImageStore

EVERY_S = 0.0075
"""One upload after another: 133 a second, as many as two cores answer."""

Put = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one upload."""

    cpu_ms: float
    wall_ms: float


def appended(folder: Path) -> Put:
    """As the gateway does it."""
    store = FolderImageStore(folder / "appended")
    return lambda upload: store.put(new_id(), {"input": upload})


def file_each(folder: Path) -> Put:
    """A new file, on the disk with its name."""
    root = folder / "each"
    root.mkdir()

    def put(upload: bytes) -> None:
        with (root / new_id()).open("xb", buffering=0) as file:
            file.write(upload)
            os.fsync(file.fileno())
        sync_folder(root)

    return put


def busy(yielding: bool) -> None:
    """Computes, as a worker's thread."""
    if yielding:
        yield_to_short_work()
    while True:
        sum(range(100_000))


@contextmanager
def busy_cores(*, yielding: bool) -> Iterator[Sequence[int]]:
    """A process for each core; gives their CPU clocks."""
    forking = multiprocessing.get_context("fork")
    processes = [forking.Process(target=busy, args=(yielding,), daemon=True) for _ in os.sched_getaffinity(0)]
    for process in processes:
        process.start()
    try:
        yield [(~(process.pid or 0) << 3) | 2 for process in processes]  # clock_getcpuclockid(3)
    finally:
        for process in processes:
            process.kill()
            process.join()


def cost(put: Put | None, upload: bytes, clocks: Sequence[int], uploads: int) -> Cost:
    """Of that many, one by one by the clock; None: of nothing, which is what the clock itself costs."""
    began, cpu_began = time.perf_counter(), sum(map(time.clock_gettime, clocks))
    took: list[float] = []
    for number in range(uploads):
        time.sleep(max(0.0, began + number * EVERY_S - time.perf_counter()))
        asked = time.perf_counter()
        if put is not None:
            put(upload)
        took.append(time.perf_counter() - asked)
    lost_s = len(clocks) * (time.perf_counter() - began) - (sum(map(time.clock_gettime, clocks)) - cpu_began)
    return Cost(lost_s / uploads * 1000, statistics.median(took) * 1000)


def compare(folder: Path, upload: bytes, rounds: int, uploads: int, *, yielding: bool) -> dict[str, Cost]:
    """Medians by way, with what the clock costs taken off."""
    ways: dict[str, Put | None] = {"nothing": None, "a file each": file_each(folder), "appended": appended(folder)}
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    with busy_cores(yielding=yielding) as clocks:
        time.sleep(0.2)
        for _ in range(rounds):
            for name, put in ways.items():
                found[name].append(cost(put, upload, clocks, uploads))
    idle = statistics.median(one.cpu_ms for one in found.pop("nothing"))
    return {name: Cost(statistics.median(one.cpu_ms for one in costs) - idle, statistics.median(one.wall_ms for one in costs))
            for name, costs in found.items()}


def main() -> None:
    """Prints both, beside threads as usual and beside those that let short work go first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kilobytes", type=int, default=358)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured; a folder for temporary files otherwise")
    arguments = parser.parse_args()
    upload = os.urandom(arguments.kilobytes * 1000)
    for yielding in (False, True):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            found = compare(Path(folder), upload, arguments.rounds, 200, yielding=yielding)
        print(f"cores busy with threads {'that let short work go first' if yielding else 'as usual'}")
        for name, one in found.items():
            print(f"  {name}: {one.cpu_ms:.2f} ms of CPU, {one.wall_ms:.2f} ms from call to return")
        before, now = found["a file each"], found["appended"]
        print(f"  appended, of a file each: CPU {now.cpu_ms / before.cpu_ms:.2f}, time {now.wall_ms / before.wall_ms:.2f}")


if __name__ == "__main__":
    main()
