"""One gRPC call of AnalysisService.Stream on a connection of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from benchmarks.stream_records import Plan
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc

OPTIONS = [
    ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 1000),
]
CONNECT_S = 3.0


@asynccontextmanager
async def open_call(plan: Plan) -> AsyncIterator[Any]:
    """A stream on a connection of its own. Raises TimeoutError where there is none within CONNECT_S."""
    async with grpc.aio.insecure_channel(plan.address, options=OPTIONS) as channel:
        async with asyncio.timeout(CONNECT_S):
            await channel.channel_ready()
        stub = analysis_pb2_grpc.AnalysisServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
        call = stub.Stream(metadata=[("authorization", f"Bearer {plan.key}")])
        try:
            yield call
        finally:
            call.cancel()


def start_message(plan: Plan, codec: pb.StreamCodec = pb.STREAM_CODEC_PICTURES) -> Any:
    """The first message of a new stream."""
    start = pb.StreamStart(domain=plan.domain, codec=codec, policy=pb.STREAM_POLICY_LATEST, with_pictures=plan.with_pictures)
    start.parameters.update({"exam": plan.exam})
    return start
