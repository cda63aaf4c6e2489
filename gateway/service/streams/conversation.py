"""One connection to a stream, whatever the transport: what it begins with, and both directions at the same time."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.streams.live import Stream

FIRST_MESSAGE_S = 10.0
"""Within this a connection must say what it wants."""

T = TypeVar("T")


async def first_of(message: Awaitable[T]) -> T:
    """The message that a connection begins with. Raises DEADLINE_EXCEEDED."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            return await message
    except TimeoutError:
        raise ServiceError(
            ErrorCode.DEADLINE_EXCEEDED, f"the first message did not come within {FIRST_MESSAGE_S:g} s"
        ) from None


async def converse(
    stream: Stream, sending: Coroutine[Any, Any, None], reading: Coroutine[Any, Any, None]
) -> None:
    """Has the stream's events sent and the connection read until the events end; then the stream is detached. Raises what
    `sending` raises, and what `reading` does while events may still come.
    """
    writer, reader = asyncio.create_task(sending), asyncio.create_task(reading)
    try:
        await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        if not writer.done():
            reader.result()
        await writer
    finally:
        for task in (writer, reader):
            task.cancel()
        await asyncio.gather(writer, reader, return_exceptions=True)
        stream.detach()
