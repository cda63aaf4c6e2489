"""Memory that requests have left behind, back to the system.

glibc keeps what lies below the last piece in use: a burst of uploads would leave the gateway with the memory of its height for good.
"""

import asyncio
import ctypes
from collections.abc import Callable

EVERY_S = 30.0


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
