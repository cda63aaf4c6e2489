"""The benchmark of the picture store puts uploads on the disk in both ways, beside busy cores."""

import os
from pathlib import Path

from benchmarks.picture_store import appended, busy_cores, compare, cost, file_each
from tests.gateway.store.kept_pictures import kept_pictures


def test_both_ways_keep_every_upload(tmp_path: Path) -> None:
    for way in (appended, file_each):
        put = way(tmp_path)
        for number in range(3):
            put(bytes([number]) * 5000)
    assert len(kept_pictures(tmp_path / "appended")) == 3
    assert [path.stat().st_size for path in (tmp_path / "each").iterdir()] == [5000] * 3


def test_the_clocks_are_those_of_processes_that_keep_every_core_busy() -> None:
    with busy_cores(yielding=True) as clocks:
        assert len(clocks) == len(os.sched_getaffinity(0))
        assert cost(None, b"", clocks, 20).wall_ms < 1
    with busy_cores(yielding=False) as clocks:
        assert all(os.path.exists(f"/proc/{~(clock >> 3)}") for clock in clocks)  # noqa: PTH110 # nothing to join
    assert not any(os.path.exists(f"/proc/{~(clock >> 3)}") for clock in clocks)  # noqa: PTH110


def test_what_the_clock_costs_is_taken_off(tmp_path: Path) -> None:
    found = compare(tmp_path, bytes(10_000), 1, 10, yielding=False)
    assert list(found) == ["a file each", "appended"]
    assert min(one.wall_ms for one in found.values()) > 0
