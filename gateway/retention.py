"""What is past its retention goes, a batch at a time, and never so fast that answers wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

EVERY_S = 60.0
"""Long enough to cost nothing, and so short that little is there to remove at once."""
REST = 3
"""Between batches it rests so many times as long as the one before took: removing has a quarter of a core at most."""

logger = structlog.get_logger("hedgerow")


async def keep_sweeping(sweep: Callable[[], Awaitable[int]], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
                        clock: Callable[[], float] | None = None) -> None:
    """Until it is cancelled. `sweep`: removes a batch and gives how many things went. One that fails is tried again later."""
    clock = clock or asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            gone = await sweep()
        except Exception as error:
            logger.error("retention failed and is tried again later", kind=type(error).__name__)
            gone = 0
        await sleep(REST * (clock() - began) if gone else EVERY_S)
