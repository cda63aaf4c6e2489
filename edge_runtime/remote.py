"""A node on another machine, over gRPC: `hedgerow node serve` at the other end (server/).

One stream (Watch) tells what the node serves, and twice a second how it does. While it flows the node is there. When it
breaks or falls silent the node is lost: whatever it holds fails with NodeLost at once, so that it can run elsewhere, and the
connection is tried again until this node is stopped. A node that ends it in good order gets nothing more, but what it has
answered is still taken: streams of one connection overtake each other.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar

import grpc
import msgspec

from edge_runtime import wire
from edge_runtime.connection import (
    DEFAULT_PATIENCE,
    Ears,
    Patience,
    RemoteConfig,
    open_channel,
    refusal,
    translated,
    words,
)
from edge_runtime.errors import EdgeError, NodeLost, NodeRefused, NodeStopped, PackageError
from edge_runtime.inference import Tensor, from_reply, to_task
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.versions import ModelStore
from edge_runtime.wire import (
    PROTOCOL,
    Catalogue,
    DomainDescription,
    ModelInfo,
    NodeState,
    ReplyMessage,
    TaskMessage,
    Track,
)
from protos.hedgerow.node.v1 import node_pb2 as pb
from protos.hedgerow.node.v1 import node_pb2_grpc

__all__ = ["Patience", "RemoteConfig", "RemoteNode"]

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
CHUNK_BYTES = 1024 * 1024
INSTALL_TIMEOUT_S = 300.0
SERVE_TIMEOUT_S = 120.0

Versions = Mapping[str, str]
T = TypeVar("T")


@dataclass(slots=True)
class _Connection:
    """What is known through one Watch stream. `lost` gets its cause once no answer can come over the channel any more."""

    stub: Any
    metadata: tuple[tuple[str, str], ...]
    state: NodeState
    lost: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    up_to_date: bool = False
    """Whether the node serves the versions that it should."""
    refusal: str = ""
    """Why it doesn't."""
    owed: set[asyncio.Future[Any]] = field(default_factory=set)
    """Calls that aren't answered yet."""


class RemoteNode(Node):
    """Raises OSError where a file of the configuration can't be read. `packages`: what it is sent where it lacks it."""

    def __init__(
        self, config: RemoteConfig, packages: ModelStore | None = None, *, patience: Patience = DEFAULT_PATIENCE
    ) -> None:
        config.check_files()
        self.name = config.name
        self._config = config
        self._packages = packages
        self._patience = patience
        self._task: asyncio.Task[None] | None = None
        self._connection: _Connection | None = None
        self._catalogue = Catalogue([], [])
        self._cause = "not reached yet"
        self._wanted: tuple[Versions, Versions] | None = None
        self._changed = asyncio.Event()
        self._telling = asyncio.Lock()
        self._stopped = False

    async def start(self) -> None:
        self._task = asyncio.create_task(self._stay_connected())

    async def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def wait_ready(self) -> None:
        while not self.ready:
            self._changed.clear()
            await self._changed.wait()

    @property
    def ready(self) -> bool:
        connection = self._connection
        return connection is not None and connection.state.ready and connection.up_to_date

    def states(self) -> Sequence[NodeState]:
        connection = self._connection
        if connection is None:
            return (NodeState(self.name, self._config.address, reachable=False, cause=self._cause),)
        if connection.state.ready and not connection.up_to_date:
            cause = connection.refusal or "it is brought to the versions in service"
            return (msgspec.structs.replace(connection.state, ready=False, cause=cause),)
        return (connection.state,)

    def domains(self) -> Sequence[DomainDescription]:
        return self._catalogue.domains

    def models(self) -> Sequence[ModelInfo]:
        """As the node told it last: what it serves is known while it is away, too."""
        return self._catalogue.models

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        task = TaskMessage(0, "analyse", domain, parameters=dict(parameters), track=track)
        content = payload if renew is None else renew()
        return await self._run(task, {"input": content}, priority, timeout_s, tenant)

    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        task, blobs = to_task(model, inputs)
        answer = await self._run(task, {name: bytes(blob) for name, blob in blobs.items()}, priority, timeout_s, tenant)
        try:
            return replace(answer, tensors=from_reply(answer.reply, answer.pictures), pictures={})
        except ValueError as error:
            raise NodeRefused(f"node {self.name} gives tensors that aren't what it says") from error

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        task = TaskMessage(0, "render", "", artifact=artifact, document=dict(document), media=dict(media))
        answer = await self._run(task, pictures, Priority.INTERACTIVE, timeout_s, "")
        return answer.pictures[artifact]

    async def install(self, archive: bytes) -> tuple[str, str]:
        return await self._send(self._reached(), archive)

    async def serve(self, active: Versions, candidates: Versions) -> None:
        """Raises NodeLost where the node is away or has no device in service: it is told as soon as it has."""
        before, self._wanted = self._wanted, (dict(active), dict(candidates))
        connection = self._connection
        if connection is None or not connection.state.ready:
            if connection is not None:
                connection.up_to_date = False
            raise NodeLost(f"node {self.name} is not in service; it is told when it is back")
        try:
            await self._tell(connection)
        except PackageError:
            self._wanted = before
            raise
        except EdgeError:
            connection.up_to_date = False
            raise

    async def _run(
        self, task: TaskMessage, blobs: Mapping[str, bytes], priority: Priority, timeout_s: float, tenant: str
    ) -> Answer:
        connection = self._reached()
        request = pb.RunRequest(
            task=wire.encode_header(task), priority=priority, tenant=tenant,
            blobs=[pb.Blob(name=name, content=content) for name, content in blobs.items()],
        )
        try:
            call = connection.stub.Run(request, metadata=connection.metadata, timeout=timeout_s)
            told = await self._awaited(connection, call)
            reply = wire.decode(told.reply)
        except msgspec.MsgspecError:
            reply = None
        if not isinstance(reply, ReplyMessage):
            raise NodeRefused(f"node {self.name} gives answers that this gateway doesn't understand")
        pictures = {blob.name: blob.content for blob in told.pictures}
        return Answer(
            reply, pictures, self.name, told.device, told.backend, told.simulated, told.reason, told.attempts
        )

    async def _send(self, connection: _Connection, archive: bytes) -> tuple[str, str]:
        async def chunks() -> AsyncIterator[pb.InstallRequest]:
            for start in range(0, len(archive), CHUNK_BYTES):
                yield pb.InstallRequest(chunk=archive[start : start + CHUNK_BYTES])

        call = connection.stub.Install(chunks(), metadata=connection.metadata, timeout=INSTALL_TIMEOUT_S)
        kept = await self._awaited(connection, call)
        return kept.name, kept.version

    async def _tell(self, connection: _Connection) -> None:
        """Has the node serve what is wanted now, and sends it what it lacks. Raises PackageError where it refuses."""
        async with self._telling:
            if self._wanted is None:
                return
            active, candidates = wanted = self._wanted
            try:
                await self._order(connection, active, candidates)
            except PackageError:
                versions = {(name, version) for name, version in (*active.items(), *candidates.items()) if version}
                if self._packages is None or not versions:
                    raise
                for name, version in sorted(versions):
                    await self._send(connection, await asyncio.to_thread(self._packages.archive, name, version))
                await self._order(connection, active, candidates)
            connection.up_to_date = wanted == self._wanted

    async def _order(self, connection: _Connection, active: Versions, candidates: Versions) -> None:
        request = pb.ServeRequest(active=active, candidates=candidates)
        call = connection.stub.Serve(request, metadata=connection.metadata, timeout=SERVE_TIMEOUT_S)
        await self._awaited(connection, call)

    def _reached(self) -> _Connection:
        if self._connection is None:
            raise self._gone(f"is out of service: {self._cause}")
        return self._connection

    def _gone(self, what: str) -> NodeLost | NodeStopped:
        return NodeStopped(f"node {self.name} is not in use any more") if self._stopped else NodeLost(f"node {self.name} {what}")

    async def _awaited(self, connection: _Connection, call: Awaitable[T]) -> T:
        """A call's answer, or its error as ours; NodeLost as soon as the connection is."""
        work = asyncio.ensure_future(_as_coroutine(call))
        connection.owed.add(work)
        work.add_done_callback(connection.owed.discard)
        try:
            await asyncio.wait((work, connection.lost), return_when=asyncio.FIRST_COMPLETED)
            if connection.lost.done() and (not work.done() or work.cancelled()):
                raise self._gone(f"was lost: {connection.lost.result()}")
            return work.result()
        except grpc.aio.AioRpcError as error:
            raise translated(error, self.name) from None
        finally:
            work.cancel()

    async def _stay_connected(self) -> None:
        loop, patience = asyncio.get_running_loop(), self._patience
        pause_s = patience.first_pause_s
        while True:
            began = loop.time()
            try:
                await self._follow()
            except NodeRefused as error:
                self._tell_cause(str(error))
                await asyncio.sleep(patience.refused_pause_s)
                continue
            except EdgeError as error:
                self._tell_cause(str(error))
            if loop.time() - began > patience.longest_pause_s:
                pause_s = patience.first_pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, patience.longest_pause_s)

    async def _follow(self) -> NoReturn:
        """Connects, and listens to the node until it is gone. Raises NodeLost, or NodeRefused where it won't have us."""
        try:
            metadata, channel = self._config.metadata(), open_channel(self._config)
        except OSError as error:
            raise NodeRefused(f"{error.filename} can't be read: {error.strerror}") from error
        try:
            ended = await self._listen(channel, metadata)
            if ended is None:
                ended = NodeLost("it ended the connection")
                await self._part(str(ended))
            raise ended
        except EdgeError as error:
            self._lose(str(error))
            raise
        finally:
            self._lose("this gateway is stopping")
            await channel.close()

    async def _listen(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> EdgeError | None:
        """Follows a Watch stream to its end; gives what broke it, or nothing where the node ended it."""
        stub = node_pb2_grpc.NodeServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
        call = stub.Watch(pb.WatchRequest(protocol=PROTOCOL), metadata=metadata)
        ears = Ears(call, self._patience)
        helpers = [asyncio.create_task(ears.listen())]
        try:
            async for response in call:
                ears.heard()
                connection = self._take(response, stub, metadata)
                if len(helpers) == 1:
                    helpers.append(asyncio.create_task(self._keep_up_to_date(connection)))
        except grpc.aio.AioRpcError as error:
            return await self._explained(error)
        except msgspec.MsgspecError:
            return NodeRefused("it speaks another protocol")
        except asyncio.CancelledError:
            if not ears.silent:
                raise
            return NodeLost(ears.complaint)
        finally:
            for helper in helpers:
                helper.cancel()
            call.cancel()
        return None

    def _take(self, response: pb.WatchResponse, stub: Any, metadata: tuple[tuple[str, str], ...]) -> _Connection:
        told = msgspec.msgpack.decode(response.state, type=NodeState)
        state = msgspec.structs.replace(told, name=self.name, address=self._config.address)
        if response.catalogue:
            self._catalogue = msgspec.msgpack.decode(response.catalogue, type=Catalogue)
        if self._connection is None:
            logger.warning("node %s is connected", self.name)
            self._connection = _Connection(stub, metadata, state, up_to_date=self._wanted is None)
        self._connection.state = state
        self._changed.set()
        return self._connection

    async def _keep_up_to_date(self, connection: _Connection) -> None:
        """A node that comes back, perhaps started anew, gets no work before it serves the versions that it should."""
        while True:
            if connection.state.ready and not connection.up_to_date:
                try:
                    await self._tell(connection)
                except EdgeError as error:
                    connection.refusal = str(error)
                    logger.warning("node %s doesn't serve the versions that it should: %s", self.name, error)
                    await asyncio.sleep(self._patience.refused_pause_s)
                self._changed.set()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _explained(self, error: grpc.aio.AioRpcError) -> EdgeError:
        """Why the stream broke: NodeRefused where it will break again until somebody changes something."""
        told = translated(error, self.name)
        if isinstance(told, NodeRefused):
            return told
        if self._connection is not None:
            return NodeLost(f"the connection broke: {words(error)}")
        why = await refusal(self._config) if error.code() is grpc.StatusCode.UNAVAILABLE else ""
        return NodeRefused(why) if why else NodeLost(f"it can't be reached: {words(error)}")

    async def _part(self, cause: str) -> None:
        """Sends nothing more over a connection that the node has ended, but takes what it still owes."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._tell_cause(cause)
        try:
            if connection.owed:
                await asyncio.wait(connection.owed, timeout=self._patience.parting_s)
        finally:
            connection.lost.set_result(cause)

    def _lose(self, cause: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost.set_result(cause)

    def _tell_cause(self, cause: str) -> None:
        if cause != self._cause:
            logger.warning("node %s is out of service: %s", self.name, cause)
        self._cause = cause


async def _as_coroutine(call: Awaitable[T]) -> T:
    return await call
