"""hedgerow.node.v1.NodeService over a node: each call converts, calls the node, and converts what comes back."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import grpc
import msgspec

from domains.errors import DomainError
from edge_runtime import wire
from edge_runtime.errors import DeadlineExceeded, EdgeError, NodeRefused, NodeStopped, Overloaded, PackageError
from edge_runtime.inference import from_task
from edge_runtime.node import Answer, Node
from edge_runtime.scheduler import Priority
from edge_runtime.server.access import refuse
from edge_runtime.versions import MAX_UNPACKED_BYTES
from edge_runtime.wire import PROTOCOL, Catalogue, ReplyMessage, TaskMessage
from protos.hedgerow.node.v1 import node_pb2 as pb
from protos.hedgerow.node.v1 import node_pb2_grpc

logger = logging.getLogger(__name__)

STATE_EVERY_S = 0.5
DOORSTEP_S = 1.0
"""So long a node that stops still refuses tasks in words, until its gateways have heard: what was sent to it before would be
cut off else."""
NO_DEADLINE_S = 3600.0
"""For a caller that names none."""

Context = Any
"""grpc.aio.ServicerContext, which is generic over messages that its stubs don't know."""


class NodeServicer(node_pb2_grpc.NodeServiceServicer):
    """A node's face. After `drain` it takes no new tasks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._ended = asyncio.Event()

    async def drain(self, grace_s: float) -> None:
        """Waits until the answers of the tasks that run are sent, at most so long; gateways are told meanwhile, then left."""
        self._draining = True
        await asyncio.sleep(min(DOORSTEP_S, grace_s))
        if self._running:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), grace_s)
            except TimeoutError:
                logger.warning("%d tasks were not done within %g s: gateways run them elsewhere", self._running, grace_s)
        self._ended.set()

    async def Run(self, request: pb.RunRequest, context: Context) -> pb.RunResponse:
        try:
            self._count(context)
            task = wire.decode(request.task)
            if not isinstance(task, TaskMessage):
                raise TypeError(f"a node runs tasks, not {type(task).__name__}")
            return await self._run(task, request, context.time_remaining())
        except Exception as error:
            await _fail(context, error)
            raise

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        if request.protocol != PROTOCOL:
            await refuse(context, grpc.StatusCode.FAILED_PRECONDITION, NodeRefused(
                f"it speaks protocol {PROTOCOL}, this gateway {request.protocol}: bring both to one version of Hedgerow"
            ))
        about = {"fields": {"peer": context.peer()}}  # asked for now: once the call has ended it crashes gRPC
        logger.info("a gateway watches", extra=about)
        told = b""
        try:
            while not self._ended.is_set():
                catalogue = msgspec.msgpack.encode(Catalogue(list(self._node.models()), list(self._node.domains())))
                yield pb.WatchResponse(state=self._state(), catalogue=b"" if catalogue == told else catalogue)
                told = catalogue
                await _either(self._ended, STATE_EVERY_S)
        finally:
            logger.info("a gateway has left", extra=about)

    async def Install(self, requests: AsyncIterator[pb.InstallRequest], context: Context) -> pb.InstallResponse:
        archive = bytearray()
        try:
            async for request in requests:
                archive += request.chunk
                if len(archive) > MAX_UNPACKED_BYTES:
                    raise PackageError(f"the archive is larger than {MAX_UNPACKED_BYTES} bytes, which is the limit")
            name, version = await self._node.install(bytes(archive))
        except Exception as error:
            await _fail(context, error)
            raise
        logger.info("a model package was installed", extra={"fields": {"model": name, "version": version}})
        return pb.InstallResponse(name=name, version=version)

    async def Serve(self, request: pb.ServeRequest, context: Context) -> pb.ServeResponse:
        try:
            await self._node.serve(dict(request.active), dict(request.candidates))
        except Exception as error:
            await _fail(context, error)
            raise
        return pb.ServeResponse()

    async def _run(self, task: TaskMessage, request: pb.RunRequest, remaining_s: float | None) -> pb.RunResponse:
        timeout_s = NO_DEADLINE_S if remaining_s is None else max(0.001, remaining_s)
        blobs = {blob.name: blob.content for blob in request.blobs}
        if task.action == "render":
            picture = await self._node.render(task.artifact, task.document, task.media, blobs, timeout_s=timeout_s)
            reply = ReplyMessage(task.id, blobs={task.artifact: len(picture)})
            return pb.RunResponse(reply=wire.encode_header(reply), pictures=[pb.Blob(name=task.artifact, content=picture)])
        answer = await self._answer(task, request, blobs, timeout_s)
        blobs = {**answer.pictures, **{tensor.spec.name: bytes(tensor.content) for tensor in answer.tensors}}
        return pb.RunResponse(
            reply=wire.encode_header(answer.reply),
            pictures=[pb.Blob(name=name, content=content) for name, content in blobs.items()],
            device=answer.device, backend=answer.backend, simulated=answer.simulated, reason=answer.reason,
            attempts=answer.attempts,
        )

    async def _answer(
        self, task: TaskMessage, request: pb.RunRequest, blobs: Mapping[str, bytes], timeout_s: float
    ) -> Answer:
        priority = Priority(request.priority)
        if task.action == "infer":
            return await self._node.infer(
                task.model, from_task(task, blobs), priority=priority, timeout_s=timeout_s, tenant=request.tenant
            )
        return await self._node.analyse(
            task.domain, blobs.get("input", b""), task.parameters, priority=priority,
            timeout_s=timeout_s, tenant=request.tenant, track=task.track,
        )

    def _state(self) -> bytes:
        (state,) = self._node.states()
        if self._draining:
            state = msgspec.structs.replace(state, ready=False, cause="it is stopping")
        return msgspec.msgpack.encode(state)

    def _count(self, context: Context) -> None:
        """Until the call has ended: its answer is still to be sent once this class has given it. Raises NodeStopped."""
        if self._draining:
            raise NodeStopped("the node is stopping")
        self._running += 1
        context.add_done_callback(self._ended_call)

    def _ended_call(self, _: Context) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()


async def _fail(context: Context, error: Exception) -> None:
    """Ends the call with the error. One that nobody foresaw could quote an input: its text goes nowhere."""
    if not isinstance(error, DomainError | EdgeError):
        way = "\n".join(f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__))
        logger.error("a call failed: %s\n%s", type(error).__name__, way)
    await refuse(context, _status(error), error)


def _status(error: Exception) -> grpc.StatusCode:
    """For clients that aren't gateways, which go by the error itself."""
    if isinstance(error, DeadlineExceeded):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    if isinstance(error, Overloaded | NodeStopped):
        return grpc.StatusCode.UNAVAILABLE
    return grpc.StatusCode.FAILED_PRECONDITION if isinstance(error, DomainError | EdgeError) else grpc.StatusCode.INTERNAL


async def _either(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event, or so long."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)
