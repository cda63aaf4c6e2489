"""Memory that requests have left behind: kept from one to the next, and back to the system in the end.

Left to itself glibc gives the buffers of an upload or a picture back as soon as they are free and has them mapped anew for the next one: a
hundred page faults for an upload, 18,000 for a photo of 24 megapixels. And it keeps what lies below the last piece in use: a burst would
leave a process with the memory of its height for good.
"""

import ctypes
import time
from collections.abc import Callable, Mapping

EVERY_S = 30.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3), by malloc.h."""


def keep_buffers(kept_bytes: int) -> None:
    """Of the whole process: so much free memory is kept until it is given back, and larger buffers are mapped singly. Nothing where the C
    library has no such thing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, kept_bytes)
        mallopt(_M_TRIM_THRESHOLD, kept_bytes)


def keeping_buffers(kept_bytes: int) -> Mapping[str, str]:
    """The environment of a process that does so from its start, and has one arena: a thread's own can't hold, or keep, a large picture,
    since glibc makes it of heaps of 64 MiB.
    """
    return {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(kept_bytes), "MALLOC_TRIM_THRESHOLD_": str(kept_bytes)}


def trimmer() -> Callable[[], object] | None:
    """What gives free memory back (malloc_trim(3)); None where the C library has no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return None if trim is None else lambda: trim(0)


def give_back_for_ever() -> None:
    """Every half minute: the work of a thread."""
    trim = trimmer()
    while trim is not None:
        time.sleep(EVERY_S)
        trim()
