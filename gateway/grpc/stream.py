"""One connection to a stream: requests go in as they come, events go out as they are told, both at the same time.

A connection that is lost leaves its stream to be taken up again. A caller who closes its side without `end`, and stays to
read, means `end`.
"""

import asyncio
import math
from collections.abc import AsyncIterator

from gateway.grpc.calls import Context, send
from gateway.grpc.events import event_to_proto, invalid, start_from_proto
from gateway.service.errors import ServiceError
from gateway.service.keys import Caller
from gateway.service.requests import RequestContext
from gateway.service.streams.conversation import converse, first_of
from gateway.service.streams.events import Ended
from gateway.service.streams.live import Stream
from gateway.service.streams.service import StreamService
from protos.hedgerow.v1 import analysis_pb2 as pb

CLOSED_FOR_S = 0.25
"""gRPC tells a lost connection first as the end of the requests, and some milliseconds later as what it is. A caller who has
closed its side is taken at its word after this time.
"""


async def connect(
    streams: StreamService, caller: Caller, about: RequestContext, requests: AsyncIterator[pb.StreamRequest],
    context: Context,
) -> None:
    """Opens a stream or takes one up again, and serves it until it ends, or the connection does. Raises what it failed of."""
    first = await first_of(anext(requests, pb.StreamRequest()))
    stream = await _opened(streams, caller, about, first)
    await converse(stream, _send(stream, context, about), _read(stream, requests))


async def _opened(streams: StreamService, caller: Caller, about: RequestContext, first: pb.StreamRequest) -> Stream:
    match first.WhichOneof("message"):
        case "start":
            return await streams.open(caller, start_from_proto(first.start), request_id=about.id)
        case "resume":
            return await streams.resume(caller, first.resume.token, first.resume.received_events)
        case other:
            came = repr(other) if other else "nothing"
            raise invalid(f"a stream begins with 'start' or 'resume', not with {came}", "message")


async def _send(stream: Stream, context: Context, about: RequestContext) -> None:
    async for numbered in stream.events():
        if isinstance(numbered.event, Ended) and numbered.event.analysis:
            about.analysis_id = numbered.event.analysis.id
        await send(context, event_to_proto(numbered))


async def _read(stream: Stream, requests: AsyncIterator[pb.StreamRequest]) -> None:
    """Hands on each request, and reads the next once the stream has taken it: so a sender that is too fast has to wait.
    A request that is out of place fails the stream, whose events then tell it.
    """
    number, ended = 0, False
    try:
        async for request in requests:
            kind = request.WhichOneof("message")
            if ended and kind != "ack":
                raise invalid("after 'end' only 'ack' may come", "message")
            number = _checked(request, number)
            ended = kind == "end" or ended
            await _hand_on(stream, request)
    except ServiceError as error:
        stream.fail(error)
    else:
        if not ended:
            await asyncio.sleep(CLOSED_FOR_S)
            await stream.end()


async def _hand_on(stream: Stream, request: pb.StreamRequest) -> None:
    match request.WhichOneof("message"):
        case "frame":
            frame = request.frame
            await stream.frame(frame.number, frame.time_s, frame.content, frame.width, frame.height)
        case "chunk":
            await stream.chunk(request.chunk.offset, request.chunk.content)
        case "ack":
            stream.ack(request.ack.event)
        case "end":
            await stream.end()
        case None:
            raise invalid("a message of a stream holds a frame, a chunk, an ack or an end", "message")
        case first:
            raise invalid(f"{first!r} comes once, as the first message", "message")


def _checked(request: pb.StreamRequest, before: int) -> int:
    """The number of the last frame on this connection. `before`: what that was before this request."""
    if request.WhichOneof("message") != "frame":
        return before
    frame = request.frame
    if frame.number <= before:
        raise invalid(f"frame numbers begin with 1 and rise; {frame.number} came after {before}", "number")
    if not math.isfinite(frame.time_s):
        raise invalid(f"the time of frame {frame.number} isn't a number of seconds", "time_s")
    number: int = frame.number
    return number
