"""Streams that are broken, for what they do to a healthy one beside them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc

from benchmarks.stream_call import open_call, start_message
from benchmarks.stream_records import Plan, Record
from protos.hedgerow.v1 import analysis_pb2 as pb

EVERY_S = 1.0
MOST_S = 5.0
"""How long a broken stream may go on."""
MESSAGES = 10

Make = Callable[[], bytes]


async def send_garbage(plan: Plan, frames: list[bytes]) -> Record:
    """Broken streams, one a second, each broken in another way."""
    chance, outcomes = random.Random(4), Counter[str]()
    ways: tuple[tuple[str, pb.StreamCodec, Make], ...] = (
        ("random bytes as a picture", pb.STREAM_CODEC_PICTURES, lambda: chance.randbytes(20_000)),
        ("an empty picture", pb.STREAM_CODEC_PICTURES, lambda: b""),
        ("half a JPEG", pb.STREAM_CODEC_PICTURES, lambda: frames[0][:len(frames[0]) // 2]),
        ("random bytes as H.264", pb.STREAM_CODEC_H264, lambda: chance.randbytes(20_000)),
        ("random bytes as MP4", pb.STREAM_CODEC_MP4, lambda: chance.randbytes(20_000)),
        ("a JPEG as a transport stream", pb.STREAM_CODEC_MPEG_TS, lambda: frames[0]),
    )
    turn = 0
    while (at := plan.begin_at + turn * EVERY_S) < plan.begin_at + plan.seconds:
        await asyncio.sleep(at - time.monotonic())
        what, codec, make = ways[turn % len(ways)]
        outcomes[f"{what}: {await _broken_stream(plan, codec, make)}"] += 1
        turn += 1
    return Record(outcomes=dict(outcomes))


async def _broken_stream(plan: Plan, codec: pb.StreamCodec, make: Make) -> str:
    """How the gateway ended it, in words."""
    ended = ""
    try:
        async with asyncio.timeout(MOST_S), open_call(plan) as call:
            await call.write(pb.StreamRequest(start=start_message(plan, codec)))
            writer = asyncio.create_task(_write_garbage(call, codec, make))
            try:
                while (response := await call.read()) is not grpc.aio.EOF:
                    if response.WhichOneof("message") == "ended":
                        ended = response.ended.reason
                return " ".join(filter(None, (ended, (await call.code()).name)))
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
    except TimeoutError:
        return f"{ended} not ended in {MOST_S:g} s".strip()
    except grpc.aio.AioRpcError as error:
        return " ".join(filter(None, (ended, error.code().name)))


async def _write_garbage(call: Any, codec: pb.StreamCodec, make: Make) -> None:
    offset = 0
    for number in range(1, MESSAGES + 1):
        content = make()
        if codec == pb.STREAM_CODEC_PICTURES:
            await call.write(pb.StreamRequest(frame=pb.StreamFrame(number=number, time_s=number / 30, content=content)))
        else:
            await call.write(pb.StreamRequest(chunk=pb.StreamChunk(offset=offset, content=content)))
            offset += len(content)
        await asyncio.sleep(1 / 30)
    await call.write(pb.StreamRequest(end=pb.StreamEnd()))
    await call.done_writing()
