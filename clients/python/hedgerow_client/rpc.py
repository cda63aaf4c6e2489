"""gRPC over grpc.aio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from typing import Any

import grpc

from hedgerow_client.errors import unreachable
from hedgerow_client.proto import (
    analysis_from_proto,
    chunk_to_proto,
    filter_to_proto,
    first_to_proto,
    frame_to_proto,
    from_proto,
    progress_from_proto,
    struct_of,
    told_from_proto,
)
from hedgerow_client.status import is_failed_write, to_error
from hedgerow_client.transport import (
    AnalysisFilter,
    AnalyzeRequest,
    Document,
    Link,
    OnDocument,
    Part,
    StreamResume,
    StreamStart,
    Told,
    Transport,
)
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc

GRACE_S = 1.0
CONNECT_TIMEOUT_S = 10.0
AGAIN_S = 0.6
"""How long a channel that has found nobody is waited for: gRPC tries again by itself, and says only when it was successful."""
CHUNK_BYTES = 1024 * 1024
_ARTIFACTS = {
    "overlay": pb.ARTIFACT_OVERLAY, "mask": pb.ARTIFACT_MASK, "heatmap": pb.ARTIFACT_HEATMAP,
    "key_frame": pb.ARTIFACT_KEY_FRAME,
}
_OPTIONS = (
    ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000), ("grpc.http2.ping_timeout_ms", 5_000), ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a cut connection of one client is not another's
)
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}


@cache
def _hold_poller() -> None:
    """Else the end of a process's last channel would wait for gRPC's poller, for seconds where a write is stuck in a dead
    connection, and the event loop with it.
    """
    grpc.aio.init_grpc_aio()


class GrpcTransport(Transport):
    """A gateway at `grpc://host:port`, or `grpcs://` for TLS."""

    def __init__(self, address: str, target: str, key: str, *, secure: bool) -> None:
        _hold_poller()
        self.address = address
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS) if secure
            else grpc.aio.insecure_channel(target, options=_OPTIONS)
        )
        self._stub: Any = analysis_pb2_grpc.AnalysisServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated code

    async def analyze(self, request: AnalyzeRequest, timeout_s: float, on_progress: OnDocument | None) -> Document:
        if on_progress is not None and (found := await self._analyze_with_progress(request, timeout_s, on_progress)):
            return found
        asked = pb.AnalyzeRequest(
            domain=request.domain, content=request.content, parameters=struct_of(request.parameters),
            request_id=request.idempotency_key, consents=request.consents,
        )
        answer = await self._call(self._stub.Analyze, asked, timeout_s, self._metadata_of(request))
        return analysis_from_proto(answer.analysis)

    async def get(self, analysis_id: str, timeout_s: float) -> Document:
        answer = await self._call(self._stub.GetAnalysis, pb.GetAnalysisRequest(id=analysis_id), timeout_s)
        return analysis_from_proto(answer.analysis)

    async def page(
        self, chosen: AnalysisFilter, cursor: str, limit: int, timeout_s: float
    ) -> tuple[Sequence[Document], str]:
        answer = await self._call(self._stub.ListAnalyses, filter_to_proto(chosen, cursor, limit), timeout_s)
        return [analysis_from_proto(one) for one in answer.analyses], answer.next_page_token

    async def delete(self, analysis_id: str, timeout_s: float) -> None:
        await self._call(self._stub.DeleteAnalysis, pb.DeleteAnalysisRequest(id=analysis_id), timeout_s)

    async def picture(self, analysis_id: str, name: str, key_frame: int, timeout_s: float) -> bytes:
        request = pb.GetArtifactRequest(id=analysis_id, artifact=_ARTIFACTS[name], key_frame=key_frame)
        png: bytes = (await self._call(self._stub.GetArtifact, request, timeout_s)).png
        return png

    async def domains(self, timeout_s: float) -> Sequence[Document]:
        answer = await self._call(self._stub.ListDomains, pb.ListDomainsRequest(), timeout_s)
        return [from_proto(one) for one in answer.domains]

    async def models(self, timeout_s: float) -> Sequence[Document]:
        answer = await self._call(self._stub.ListModels, pb.ListModelsRequest(), timeout_s)
        return [from_proto(one) for one in answer.models]

    async def ready(self, timeout_s: float) -> bool:
        check = self._channel.unary_unary(_HEALTH, request_serializer=bytes, response_deserializer=bytes)
        answer: bytes = await self._call(check, b"", timeout_s)
        return answer == _SERVING

    async def open_link(self, first: StreamStart | StreamResume, timeout_s: float) -> Link:
        await self._connected(timeout_s)
        link = GrpcLink(self._stub.Stream(metadata=self._metadata), self.address)
        await link.send(first_to_proto(first))
        return link

    async def close(self) -> None:
        await self._channel.close(None)

    async def _analyze_with_progress(
        self, request: AnalyzeRequest, timeout_s: float, on_progress: OnDocument
    ) -> Document | None:
        """None where the gateway ended the call during the upload: it was not carried out, and why can't be read here."""
        await self._connected(timeout_s)
        with self._mapped():
            call = self._stub.AnalyzeWithProgress(_upload(request), timeout=timeout_s, metadata=self._metadata_of(request))
            try:
                async for message in call:
                    if message.WhichOneof("message") == "analysis":
                        return analysis_from_proto(message.analysis)
                    on_progress(progress_from_proto(message.progress))
            except grpc.aio.AioRpcError as error:
                if is_failed_write(error):
                    return None
                raise
        raise unreachable(self.address, "the answer broke off", maybe_processed=True)

    def _metadata_of(self, request: AnalyzeRequest) -> Sequence[tuple[str, str]]:
        return (*self._metadata, ("idempotency-key", request.idempotency_key))

    async def _call(
        self, method: Any, request: Any, timeout_s: float, metadata: Sequence[tuple[str, str]] | None = None
    ) -> Any:
        await self._connected(timeout_s)
        with self._mapped():
            return await method(request, timeout=timeout_s, metadata=self._metadata if metadata is None else metadata)

    async def _connected(self, timeout_s: float) -> None:
        """Returns once there is a connection: what fails before that was certainly not carried out."""
        failed = grpc.ChannelConnectivity.TRANSIENT_FAILURE
        state = self._channel.get_state(try_to_connect=True)
        allowed_s = AGAIN_S if state is failed else CONNECT_TIMEOUT_S
        try:
            async with asyncio.timeout(min(timeout_s, allowed_s)):
                while state is not grpc.ChannelConnectivity.READY:
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
                    if state is failed:
                        raise unreachable(self.address, "no connection", maybe_processed=False)
        except TimeoutError:
            raise unreachable(self.address, "no connection", maybe_processed=False) from None

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise to_error(error, self.address) from None


class GrpcLink(Link):
    """One call of AnalysisService.Stream."""

    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address

    async def send(self, message: pb.StreamRequest) -> None:
        """A message."""
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            raise to_error(error, self._address) from None
        except asyncio.InvalidStateError:
            raise unreachable(self._address, "the connection was cut", maybe_processed=True) from None

    async def send_frame(self, part: Part) -> None:
        await self.send(frame_to_proto(part))

    async def send_chunk(self, part: Part) -> None:
        await self.send(chunk_to_proto(part))

    async def send_ack(self, event: int) -> None:
        await self.send(pb.StreamRequest(ack=pb.StreamAck(event=event)))

    async def send_end(self) -> None:
        await self.send(pb.StreamRequest(end=pb.StreamEnd()))

    async def receive(self) -> Told | None:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise to_error(error, self._address) from None
        return None if message is grpc.aio.EOF else told_from_proto(message)

    async def close(self) -> None:
        self._call.cancel()


async def _upload(request: AnalyzeRequest) -> AsyncIterator[pb.AnalyzeWithProgressRequest]:
    content = request.content
    yield pb.AnalyzeWithProgressRequest(start=pb.UploadStart(
        domain=request.domain, parameters=struct_of(request.parameters), size_bytes=len(content),
        request_id=request.idempotency_key, consents=request.consents,
    ))
    for at in range(0, len(content), CHUNK_BYTES):
        yield pb.AnalyzeWithProgressRequest(chunk=content[at : at + CHUNK_BYTES])
