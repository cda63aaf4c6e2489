"""How the kernel shares a core between threads that compute and those that wake for a moment: by niceness, and by how long it lets a
thread go on before it gives the core to another one that wants it, its slice (EEVDF, since Linux 6.12).
"""

import ctypes
import os
import platform
import struct
from contextlib import suppress

NICER = 5
"""A thread that is so much nicer than another gets a quarter of the core which both want."""
LONGEST_S = 0.1
"""The kernel's own bound."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "armv7l": 380}
"""The number of sched_setattr(2), for which C libraries have no function yet. https://docs.kernel.org/scheduler/sched-eevdf.html"""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: size, policy, flags, nice, priority, runtime in ns, deadline, period."""


def yield_to_short_work() -> None:
    """Makes the calling thread nicer, and gives it the longest slice: whoever wakes for a moment (the gateway's own threads, the
    disk's) runs at once, and not after this thread's turn. Where nobody else computes it gets as much of a core as before; what runs
    in another control group isn't compared with it at all. An older kernel has no slices, and a sandbox may forbid both.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + NICER)  # of this thread alone, on Linux
    number, policy = _SCHED_SETATTR.get(platform.machine()), os.sched_getscheduler(0)
    if number is not None and policy == os.SCHED_OTHER:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, int(LONGEST_S * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
