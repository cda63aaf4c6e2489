"""Memory that requests have left behind: kept from one upload to the next, and back to the system in the end.

Left to itself glibc gives an upload's buffers back as soon as they are free and has them mapped anew for the next one, a hundred page
faults for a photo; and it keeps what lies below the last piece in use: a burst of uploads would leave the gateway with the memory of
its height for good.
"""

import asyncio
import ctypes
from collections.abc import Callable

EVERY_S = 30.0
KEPT_BYTES = 32 * 1024 * 1024
"""So much free memory is kept for the next uploads until the next turn; larger buffers are mapped singly."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3), by malloc.h."""


def keep_buffers() -> None:
    """Of the whole process; nothing where the C library has no such thing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def trimmer() -> Callable[[], object] | None:
    """What gives it back (malloc_trim(3)); None where the C library has no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if trim is None else lambda: trim(0)


async def keep_giving_back() -> None:
    """Every half minute, until it is cancelled."""
    trim = trimmer()
    while trim is not None:
        await asyncio.sleep(EVERY_S)
        await asyncio.to_thread(trim)
