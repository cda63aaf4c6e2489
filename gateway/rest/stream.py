"""Live streams over WebSocket: one task reads the connection, another writes events to it.

The stream itself outlives its connection: where that is lost, the caller takes the stream up again on another one.
Whatever is raised here, RequestMiddleware tells the caller before it closes the connection.
"""

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.rest.stream_messages import (
    HEADER,
    Ack,
    Resume,
    binary_from_bytes,
    control_from_json,
    event_to_json,
    first_from_json,
    malformed,
)
from gateway.service.analyses import Policy
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import KeyService
from gateway.service.requests import RequestContext
from gateway.service.streams.conversation import converse, first_of
from gateway.service.streams.events import Ended, StreamStart
from gateway.service.streams.live import Stream
from gateway.service.streams.service import StreamService

SEND_S = 30.0
"""A caller who takes nothing for this long has lost the connection."""
_SLACK = 64 * 1024


def max_message_bytes(policy: Policy) -> int:
    """The largest message that the WebSocket server should let through: a little more than is allowed, so that one over
    the limit is answered in words here. A far larger one is refused from its header (close code 1009).
    """
    return policy.max_upload_bytes + HEADER.size + _SLACK


async def stream(websocket: WebSocket, domain: str) -> None:
    """`/v1/domains/{domain}/stream`. Raises ServiceError, DomainError, EdgeError; WebSocketDisconnect where the caller left."""
    context: RequestContext = websocket.state.context
    await websocket.accept()
    opened = await _open(websocket, domain, context)
    await converse(opened, _send(websocket, opened, context), _read(websocket, opened))
    await websocket.close()


async def _open(websocket: WebSocket, domain: str, context: RequestContext) -> Stream:
    message = await first_of(_receive(websocket))
    first = first_from_json(message if isinstance(message, str) else "")
    keys: KeyService = websocket.app.state.keys
    headers = websocket.headers
    context.caller = caller = await keys.caller_of(
        headers.get("authorization", ""), headers.get("x-api-key", "") or first.key
    )
    streams: StreamService = websocket.app.state.streams
    if isinstance(first, Resume):
        return await streams.resume(caller, first.token, first.received_events)
    start = StreamStart(
        domain, first.parameters, first.codec, first.policy, first.sample_fps, first.with_pictures
    )
    return await streams.open(caller, start, request_id=context.id)


async def _read(websocket: WebSocket, opened: Stream) -> None:
    """Hands on what comes, until the caller leaves or sends what can't be handed on: that ends the stream."""
    policy: Policy = websocket.app.state.service.policy
    last_number, ended = 0, False
    try:
        while True:
            message = await _receive(websocket)
            if isinstance(message, str):
                control = control_from_json(message)
                if isinstance(control, Ack):
                    opened.ack(control.event)
                    continue
            if ended:
                raise malformed("after 'end' only 'ack' may come")
            if isinstance(message, str):
                ended = True
                await opened.end()
                continue
            part = binary_from_bytes(message)
            policy.check_size(len(part.content))
            if opened.encoded:
                await opened.chunk(part.position, part.content)
                continue
            if part.position <= last_number:
                raise malformed("frame numbers begin with 1 and rise", "number")
            last_number = part.position
            await opened.frame(part.position, part.time_s, part.content, part.width, part.height)
    except ServiceError as error:
        opened.fail(error)


async def _send(websocket: WebSocket, opened: Stream, context: RequestContext) -> None:
    async for numbered in opened.events():
        if isinstance(numbered.event, Ended) and numbered.event.analysis is not None:
            context.analysis_id = numbered.event.analysis.id
        try:
            async with asyncio.timeout(SEND_S):
                await websocket.send_text(event_to_json(numbered))
        except TimeoutError as error:
            raise ServiceError(ErrorCode.CANCELLED, f"the caller took no event for {SEND_S:g} s") from error


async def _receive(websocket: WebSocket) -> str | bytes:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    said: str | bytes = message["bytes"] if message.get("text") is None else message["text"]
    return said
