"""The port of a node: a machine that serves models. One is embedded in the gateway, others are reached over a network.

    Node
    |- EmbeddedNode   (embedded.py)  a pool of device processes in this program
    |- RemoteNode     (remote.py)    another machine's `hedgerow node serve`
    `- Fleet          (fleet.py)     several of them as one

This side loads no numpy, OpenCV or interpreter: all that lives in the worker processes, which describe themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_runtime.inference import Tensor
from edge_runtime.scheduler import Priority
from edge_runtime.wire import DomainDescription, ModelInfo, NodeState, ReplyMessage, Track

Renew = Callable[[], bytes]
"""Gives what to analyse when a device is free for it. Asked again, it gives the same again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's reply with its pictures, and what is known of its way. `reason`: why this device, in a sentence."""

    reply: ReplyMessage
    pictures: Mapping[str, bytes]
    node: str
    device: str
    backend: str
    simulated: bool
    reason: str
    attempts: int
    tensors: Sequence[Tensor] = ()
    """Of an inference; then there are no pictures."""


class Node(ABC):
    """Something that runs tasks. Use from one event loop. Methods that run a task raise DomainError or EdgeError."""

    name: str
    """Unique among the nodes of a gateway."""

    @abstractmethod
    async def start(self) -> None:
        """Begins to come up; `wait_ready` tells when it serves."""

    @abstractmethod
    async def stop(self) -> None:
        """Ends it; tasks without an answer fail with NodeStopped."""

    @abstractmethod
    async def wait_ready(self) -> None:
        """Returns as soon as it serves at least one model."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether it serves at least one model now."""

    @abstractmethod
    def states(self) -> Sequence[NodeState]:
        """The node's state, or one for each node that this one stands for."""

    @abstractmethod
    def domains(self) -> Sequence[DomainDescription]:
        """Every domain, with the choices that the served models offer; empty until it is ready."""

    @abstractmethod
    def models(self) -> Sequence[ModelInfo]:
        """Every model package, refused ones with the reason; empty until it is ready."""

    @abstractmethod
    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        """Answers one upload. `tenant`: whose fair share it is taken from. `renew` gives what is analysed in the place of
        `payload`, of about its size, as late as the node can ask: the newest frame of a live stream. Raises NodeLost where
        the node went away with the task: it can run elsewhere.
        """

    @abstractmethod
    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        """Runs the network of the version in service on tensors, without the domain's flow: uint8 pixels in, every output as
        float32. Raises InvalidParameter where the tensors aren't those of ModelInfo.inputs, ModelUnavailable.
        """

    @abstractmethod
    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        """Draws `overlay.png` or `heatmap.png` of an earlier answer from its document and stored pictures."""

    @abstractmethod
    async def install(self, archive: bytes) -> tuple[str, str]:
        """Keeps a model package (a ZIP of its folder) for `serve`; gives its name and version. Raises PackageError."""

    @abstractmethod
    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        """From now on serves these versions (model name to version) of the models named, and of all others the one that
        came with the program; none of a model whose version is empty. New ones are verified, warmed and checked first; raises PackageError, and changes
        nothing, where one can't be trusted. Requests go on meanwhile, and none is lost.
        """
