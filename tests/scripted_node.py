"""A node that does as a test says, with slots and a queue like a real one: for tests of what stands between nodes and callers.

`served` puts one behind the real server on a real socket.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from domains.errors import DomainError
from edge_runtime.errors import EdgeError, NodeLost, PackageError
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.server.access import AccessConfig
from edge_runtime.server.listener import NodeServer
from edge_runtime.versions import read_identity
from edge_runtime.wire import (
    DeviceState,
    DomainDescription,
    ModelInfo,
    NodeState,
    ReplyMessage,
    TensorSpec,
    Timings,
    Track,
)

LUNG = "lung_ultrasound"
LOCAL = AccessConfig("127.0.0.1:0")
MAX_UPLOAD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Run:
    """A task that the node was given."""

    domain: str
    payload: bytes
    parameters: Mapping[str, Any]
    priority: Priority
    timeout_s: float
    tenant: str
    track: Track


@dataclass
class ScriptedNode(Node):
    """Answers in `takes_s`. `fails`: what it raises instead, once asked. `lose()`: it goes away with all that it has."""

    name: str = "scripted"
    takes_s: float = 0.0
    slots: int = 2
    models_served: tuple[str, ...] = (LUNG,)
    fails: Exception | None = None
    pictures: dict[str, bytes] = field(default_factory=lambda: {"mask.png": b"m" * 10})
    address: str = ""
    refuses: str = ""
    lacks: set[tuple[str, str]] = field(default_factory=set)
    """Versions that it can't serve before they are installed."""
    runs: list[Run] = field(default_factory=list)
    served: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    installed: list[tuple[str, str]] = field(default_factory=list)
    cancelled: int = 0
    running: int = 0
    most: int = 0
    """The most tasks that it ever had at a time."""

    def __post_init__(self) -> None:
        self._up = asyncio.Event()
        self._up.set()
        self._free = asyncio.Semaphore(self.slots)
        self._tasks: set[asyncio.Future[None]] = set()

    def lose(self) -> None:
        """It is gone, and what it had fails."""
        self._up.clear()
        for task in self._tasks:
            task.set_exception(NodeLost(f"node {self.name} was lost"))
        self._tasks.clear()

    def come_back(self) -> None:
        """It serves again."""
        self._up.set()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def wait_ready(self) -> None:
        await self._up.wait()

    @property
    def ready(self) -> bool:
        return self._up.is_set()

    def states(self) -> Sequence[NodeState]:
        waiting = max(0, self.running - self.slots)
        device = DeviceState("cpu", "litert", "serving", slots=self.slots, models=list(self.models_served))
        return (NodeState(
            self.name, self.address, reachable=self.ready, ready=self.ready, waiting=waiting,
            running=self.running - waiting, expected_wait_s=waiting * self.takes_s / self.slots, devices=[device],
        ),)

    def domains(self) -> Sequence[DomainDescription]:
        return (DomainDescription("pathology", "scans", [], list(self.models_served)),)

    def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo(name, "ready", domain="pathology", selector={"exam": name}) for name in self.models_served]

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        self.runs.append(Run(domain, payload if renew is None else renew(), dict(parameters), priority, timeout_s, tenant, track))
        waited_s = await self._work()
        document = {"kind": "classification", "bytes": len(payload)}
        sizes = {name: len(picture) for name, picture in self.pictures.items()}
        reply = ReplyMessage(7, document=document, blobs=sizes, timings=Timings(queue=round(waited_s, 2)))
        return Answer(reply, self.pictures, self.name, "a device", "litert", False, "it is the only one", 1)

    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        """The sum of each input's bytes, in the order of the inputs."""
        del priority, timeout_s, tenant
        await self._work()
        sums = b"".join(struct.pack("<f", sum(tensor.content)) for tensor in inputs)
        spec = TensorSpec("sums", "float32", (len(inputs),))
        reply = ReplyMessage(7, model={"name": model, "version": "1"}, tensors=[spec], blobs={"sums": len(sums)})
        return Answer(reply, {}, self.name, "a device", "litert", False, "it is the only one", 1, [Tensor(spec, sums)])

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        await self._work()
        return f"{self.name}: {artifact} {sorted(pictures)} {document} {media} {timeout_s > 0}".encode()

    async def install(self, archive: bytes) -> tuple[str, str]:
        if self.refuses:
            raise PackageError(self.refuses)
        identity = read_identity(archive)
        self.installed.append((identity.name, identity.version))
        self.lacks.discard((identity.name, identity.version))
        return identity.name, identity.version

    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        if not self.ready:
            raise NodeLost(f"node {self.name} is away")
        if self.refuses and (active or candidates):
            raise PackageError(self.refuses)
        for name, version in {*active.items(), *candidates.items()} & self.lacks:
            raise PackageError(f"model package {name}: version {version} is not installed")
        self.served.append((dict(active), dict(candidates)))

    async def _work(self, taken: Callable[[], None] = lambda: None) -> float:
        """Seconds waited for a slot; `taken` is called with it."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        self._tasks.add(gone)
        self.running += 1
        self.most = max(self.most, self.running)
        began = loop.time()
        try:
            async with self._free:
                waited_s = loop.time() - began
                taken()
                await asyncio.wait([gone], timeout=self.takes_s)
            if gone.done():
                gone.result()
            if isinstance(self.fails, DomainError | EdgeError | RuntimeError):
                raise self.fails
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
            self._tasks.discard(gone)
        return waited_s


@asynccontextmanager
async def served(node: Node, access: AccessConfig = LOCAL) -> AsyncIterator[str]:
    """The real server over a node; gives its address."""
    server = NodeServer(node, access, max_upload_bytes=MAX_UPLOAD_BYTES)
    address = await server.start()
    try:
        yield address
    finally:
        await server.stop(0)


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
