"""How long the kernel lets a thread compute before it gives the core to another one that wants it: its slice (EEVDF, since Linux 6.12)."""

import ctypes
import os
import platform
import struct

LONGEST_S = 0.1
"""The kernel's own bound."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "armv7l": 380}
"""The number of sched_setattr(2), for which C libraries have no function yet. https://docs.kernel.org/scheduler/sched-eevdf.html"""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: size, policy, flags, nice, priority, runtime in ns, deadline, period."""


def yield_to_short_work() -> None:
    """Gives the calling thread the longest slice. It gets as much of a core as before, but whoever wakes for a moment and has a usual
    slice (the gateway's own threads, the disk's) runs at once, and not after this thread's turn. Nothing on an older kernel.
    """
    number, policy = _SCHED_SETATTR.get(platform.machine()), os.sched_getscheduler(0)
    if number is not None and policy == os.SCHED_OTHER:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, int(LONGEST_S * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, wanted, 0)
