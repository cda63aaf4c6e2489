"""A worker's threads let short work go first, where the kernel can."""

import ctypes
import errno
import os
import platform
import struct
import threading
from pathlib import Path

import pytest

from edge_runtime.thread_priority import LONGEST_S, NICER, yield_to_short_work
from tests.gateway_process import GatewayProcess

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275, "armv7l": 381}
MODERN = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12) and platform.machine() in _SCHED_GETATTR
needs_slices = pytest.mark.skipif(not MODERN, reason="needs Linux 6.12 or later, on an architecture whose calls are known here")


def attributes(thread: int) -> tuple[int, int, float]:
    """Policy, nice and slice in seconds of a thread, by the kernel."""
    found = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(_SCHED_GETATTR[platform.machine()], thread, found, 48, 0) == 0
    _, policy, _, nice, _, runtime, _, _ = struct.unpack("=IIQiIQQQ", found.raw)
    return policy, nice, runtime / 1e9


def in_a_thread(niceness: int) -> tuple[int, int, float]:
    """What a thread with that niceness is after it has asked."""
    found: list[tuple[int, int, float]] = []

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        yield_to_short_work()
        found.append(attributes(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


@needs_slices
@pytest.mark.parametrize(("before", "after"), [(0, NICER), (7, 7 + NICER), (17, 19)])
def test_a_thread_is_nicer_and_has_the_longest_slice(before: int, after: int) -> None:
    own = attributes(0)
    assert in_a_thread(before) == (os.SCHED_OTHER, after, LONGEST_S)
    assert attributes(0) == own, "another thread's are its own"


def test_a_sandbox_may_forbid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def work() -> None:
        yield_to_short_work()
        found.append(os.getpriority(os.PRIO_PROCESS, 0))

    monkeypatch.setattr(os, "setpriority", forbidden)
    found: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [os.getpriority(os.PRIO_PROCESS, 0)]


@needs_slices
def test_only_the_threads_that_compute_have_it(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, workers="2") as gateway:
        computing = [attributes(int(thread.name))[1:] for pid in gateway.worker_pids() for thread in Path(f"/proc/{pid}/task").iterdir()]
        own = [attributes(int(thread.name))[1:] for thread in Path(f"/proc/{gateway.process.pid}/task").iterdir()]
    assert computing.count((own[0][0] + NICER, LONGEST_S)) == 2
    assert {niceness for niceness, _ in own} == {own[0][0]}
    assert LONGEST_S not in {slice_s for _, slice_s in own}
