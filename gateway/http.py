"""What every way to call over HTTP needs of a request (REST, Connect, gRPC-Web): its body within bounds, and the caller who
hangs up.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from gateway.service.errors import ErrorCode, ServiceError

T = TypeVar("T")


async def read_body(request: Request, check_size: Callable[[int], None]) -> bytes:
    """The whole body. `check_size` is asked before a byte is read where the caller declares a length, and again as it grows:
    what it raises of a size in bytes is raised here. Raises CANCELLED where the body ends before its end.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit():
        check_size(int(declared))
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            check_size(size)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise ServiceError(ErrorCode.CANCELLED, "the caller left before the upload was complete") from error
    return b"".join(chunks)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Does the work, and ends it when the caller hangs up: what still waits then is never run. Raises CANCELLED then."""
    worker = asyncio.current_task()
    assert worker is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        worker.cancel()

    watch = asyncio.ensure_future(_when_disconnected(request, leave))
    try:
        return await work
    except asyncio.CancelledError:
        if gone and not worker.uncancel():
            raise ServiceError(ErrorCode.CANCELLED, "the caller left before the answer was there") from None
        raise
    finally:
        watch.cancel()


async def _when_disconnected(request: Request, then: Callable[[], None]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    then()
