"""Several nodes as one: which of them answers, and what happens when one goes away with its work.

Rules
1. A task goes to the node that is expected to answer first: what waits there, and what answers of that model took, network
   included (routing.py). Between equals the first one named wins, which is the embedded one. Drawing goes to the first one
   that is ready.
2. A node that can't run the task (lost, stopping, full, too slow for its deadline, without the model or without a device)
   costs it a run elsewhere, not its answer. It is run by a node that it was lost with only if no other one can, and is
   given up after `MAX_LOSSES` losses: it may be what takes the nodes down. What the input itself is guilty of is final.
3. A task that takes much longer than expected is run on another node as well, once, if one is free; the first answer counts.
4. Where no node can run it the task waits for one, until its deadline. At most `max_waiting` tasks and
   `max_waiting_bytes` bytes wait so.
5. All nodes serve the same versions. One that is away when they change is told when it is back (remote.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from domains import registry
from edge_runtime.dispatch import Dispatcher
from edge_runtime.errors import EdgeError, NodeLost, PackageError
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.routing import model_hint
from edge_runtime.scheduler import Priority
from edge_runtime.wire import DomainDescription, ModelInfo, NodeState, ParameterDescription, ReplyMessage, Track

T = TypeVar("T")


class Fleet(Node):
    """Nodes behind one port. Use from one event loop."""

    name = "fleet"

    def __init__(
        self, nodes: Sequence[Node], *, max_waiting: int = 256, max_waiting_bytes: int = 512 * 1024 * 1024
    ) -> None:
        names = [node.name for node in nodes]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a fleet needs nodes, each with a name of its own; got {', '.join(names) or 'none'}")
        self._nodes = list(nodes)
        self._alone = nodes[0] if len(nodes) == 1 and not nodes[0].states()[0].address else None
        """An embedded node without others: it queues by itself."""
        self._dispatcher = Dispatcher(nodes, max_waiting=max_waiting, max_waiting_bytes=max_waiting_bytes)
        self._served: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        await asyncio.gather(*(node.start() for node in self._nodes))

    async def stop(self) -> None:
        self._dispatcher.stop()
        await asyncio.gather(*(node.stop() for node in self._nodes))

    async def wait_ready(self) -> None:
        waits = [asyncio.ensure_future(node.wait_ready()) for node in self._nodes]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def ready(self) -> bool:
        return any(node.ready for node in self._nodes)

    def states(self) -> Sequence[NodeState]:
        return [state for node in self._nodes for state in node.states()]

    def domains(self) -> Sequence[DomainDescription]:
        found: dict[str, DomainDescription] = {}
        for node in self._nodes:
            for domain in node.domains():
                found[domain.name] = _united(found[domain.name], domain) if domain.name in found else domain
        return list(found.values())

    def models(self) -> Sequence[ModelInfo]:
        found: dict[str, ModelInfo] = {}
        for node in self._nodes:
            for model in node.models():
                if model.name not in found or (found[model.name].state == "refused" and model.state == "ready"):
                    found[model.name] = model
        return list(found.values())

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        async def ask(node: Node, left_s: float) -> Answer:
            return await node.analyse(
                domain, payload, parameters, priority=priority, timeout_s=left_s, tenant=tenant, track=track,
                renew=renew,
            )

        if self._alone is not None:
            return await ask(self._alone, timeout_s)
        registry.check_name(domain)
        return await self._dispatcher.run(ask, model_hint(domain, parameters, self.models()), len(payload), timeout_s)

    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        async def ask(node: Node, left_s: float) -> Answer:
            return await node.infer(model, inputs, priority=priority, timeout_s=left_s, tenant=tenant)

        if self._alone is not None:
            return await ask(self._alone, timeout_s)
        return await self._dispatcher.run(ask, model, sum(len(tensor.content) for tensor in inputs), timeout_s)

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        async def ask(node: Node, left_s: float) -> Answer:
            picture = await node.render(artifact, document, media, pictures, timeout_s=left_s)
            return Answer(ReplyMessage(0), {artifact: picture}, node.name, "", "", False, "", 1)

        if self._alone is not None:
            return await self._alone.render(artifact, document, media, pictures, timeout_s=timeout_s)
        size_bytes = sum(len(picture) for picture in pictures.values())
        return (await self._dispatcher.run(ask, None, size_bytes, timeout_s)).pictures[artifact]

    async def install(self, archive: bytes) -> tuple[str, str]:
        """Keeps it on every node that is there; the others get it when they are to serve it."""
        async with self._changing:
            kept = await self._on_all(lambda node: node.install(archive))
        return _first_done(kept)

    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        """Raises PackageError where one node refuses, NodeLost where none is there; then all serve what they did before."""
        async with self._changing:
            done = await self._on_all(lambda node: node.serve(active, candidates))
            try:
                _first_done(done)
            except EdgeError:
                before = self._served
                await self._on_all(lambda node: node.serve(*before))
                raise
            self._served = dict(active), dict(candidates)

    async def _on_all(self, do: Callable[[Node], Awaitable[T]]) -> list[T | EdgeError]:
        """What each node gives, or why it doesn't. At the same time on all of them."""
        async def on(node: Node) -> T | EdgeError:
            try:
                return await do(node)
            except EdgeError as error:
                return error

        return await asyncio.gather(*map(on, self._nodes))


def _first_done(results: Sequence[T | EdgeError]) -> T:
    """Raises PackageError where one node refused, NodeLost where none did what it was told."""
    for result in results:
        if isinstance(result, PackageError):
            raise result
    for result in results:
        if not isinstance(result, EdgeError):
            return result
    raise NodeLost("no node is in service that could check the packages; try again once one is")


def _united(one: DomainDescription, other: DomainDescription) -> DomainDescription:
    """A domain as both nodes have it: the models of each, and the choices of each parameter."""
    choices = {item.name: item.choices for item in other.parameters}
    parameters = [
        ParameterDescription(item.name, item.description, sorted({*item.choices, *choices.get(item.name, [])}))
        for item in one.parameters
    ]
    return DomainDescription(one.name, one.title, parameters, sorted({*one.models, *other.models}))
