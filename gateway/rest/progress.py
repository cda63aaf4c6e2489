"""An analysis while it runs, told about as server-sent events where that was asked for
(https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http import unless_gone
from gateway.rest.documents import analysis_to_json
from gateway.rest.problems import to_problem
from gateway.service.clips import Progress
from gateway.service.errors import ErrorCode
from gateway.service.records import Analysis
from gateway.service.requests import RequestContext

MEDIA_TYPE = "text/event-stream"


def wants_events(request: Request) -> bool:
    """Whether the caller asked for events instead of one answer."""
    accepted = request.headers.get("accept", "").split(",")
    return any(item.partition(";")[0].strip().lower() == MEDIA_TYPE for item in accepted)


async def follow(
    request: Request, context: RequestContext,
    analyse: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, Analysis]],
) -> Response:
    """Events of an analysis: `progress`, any number of times, then `analysis` or `error`. It ends when the caller hangs up.

    Raises what the analysis raises before there is any progress to tell: that is answered with a status as usual.
    """
    running = _Running(analyse)
    try:
        await unless_gone(request, running.news())
        if running.task.done():
            running.task.result()
    except BaseException:
        running.task.cancel()
        raise
    return _Followed(running, context)


class _Running:
    """An analysis and the newest of its progress: a caller who reads slowly misses what is old."""

    def __init__(self, analyse: Callable[[Callable[[Progress], None]], Coroutine[Any, Any, Analysis]]) -> None:
        self._newest: Progress | None = None
        self._told = asyncio.Event()
        self.task = asyncio.ensure_future(analyse(self._tell))
        self.task.add_done_callback(lambda _: self._told.set())

    def _tell(self, progress: Progress) -> None:
        self._newest = progress
        self._told.set()

    async def news(self) -> None:
        """Waits for progress that wasn't taken yet, or the end."""
        await self._told.wait()

    def take(self) -> Progress | None:
        """The newest progress, once."""
        newest, self._newest = self._newest, None
        if not self.task.done():
            self._told.clear()
        return newest


class _Followed(EventSourceResponse):
    """The events of an analysis, and its end when nobody reads them any more."""

    def __init__(self, running: _Running, context: RequestContext) -> None:
        super().__init__(_events(running, context))
        self._running = running
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._running.task.cancel():
                self._context.error = ErrorCode.CANCELLED


async def _events(running: _Running, context: RequestContext) -> AsyncIterator[ServerSentEvent]:
    while True:
        await running.news()
        ended = running.task.done()
        progress = running.take()
        if progress is not None:
            yield _event("progress", msgspec.structs.asdict(progress))
        if ended:
            break
    try:
        analysis = running.task.result()
    except Exception as error:
        yield _event("error", to_problem(context.failed(error), context.id))
        return
    context.analysis_id = analysis.id
    yield _event("analysis", analysis_to_json(analysis))


def _event(name: str, document: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode(document).decode(), event=name)
