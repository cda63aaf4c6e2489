"""A node whose versions of models do what a test says: for tests of what chooses between versions."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domains.errors import DomainError
from edge_runtime.errors import EdgeError, PackageError
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.versions import read_identity
from edge_runtime.wire import DeviceState, DomainDescription, ModelInfo, NodeState, ReplyMessage, Timings, Track

IDLE = NodeState("here", ready=True, devices=[DeviceState("cpu", "litert", "serving", slots=2)])
BUSY = NodeState("here", ready=True, waiting=1, running=2, devices=[DeviceState("cpu", "litert", "serving", slots=2)])


@dataclass(slots=True)
class Behaviour:
    """What a version does. `failure` is raised in place of an answer; `refused` is why it can't be served."""

    label: str = "normal"
    infer_ms: float = 5.0
    device: str = "2 cores"
    failure: DomainError | EdgeError | None = None
    refused: str = ""
    takes_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """A task that the node was given."""

    track: Track
    version: str
    priority: Priority
    tenant: str
    timeout_s: float


@dataclass
class VersionedNode(Node):
    """Models named by the parameter `exam`. `versions`: behaviour by (model, version); those of `shipped` are there from
    the start. `runs` lists what it was asked to do, `served` each pair of mappings that it was told to serve.
    """

    shipped: dict[str, str]
    versions: dict[tuple[str, str], Behaviour] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    served: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    state: NodeState = IDLE
    name: str = "here"

    def __post_init__(self) -> None:
        self.active: dict[str, str] = {}
        self.candidates: dict[str, str] = {}
        self.up = asyncio.Event()
        self.up.set()
        for model, version in self.shipped.items():
            self.versions.setdefault((model, version), Behaviour())

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def wait_ready(self) -> None:
        await self.up.wait()

    @property
    def ready(self) -> bool:
        return self.up.is_set()

    def states(self) -> Sequence[NodeState]:
        return (self.state,)

    def domains(self) -> Sequence[DomainDescription]:
        return ()

    def models(self) -> Sequence[ModelInfo]:
        return [
            ModelInfo(model, "ready", version=version, domain="pathology", selector={"exam": model})
            for model, version in {**self.shipped, **self.active}.items() if version
        ]

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        del domain, payload, renew
        model = str(parameters.get("exam", "lung_ultrasound"))
        version = {**self.shipped, **self.active}[model]
        if track == "candidate":
            version = self.candidates.get(model, version)
        self.runs.append(Run(track, version, priority, tenant, timeout_s))
        behaviour = self.versions[model, version]
        await asyncio.sleep(behaviour.takes_s)
        if behaviour.failure is not None:
            raise behaviour.failure
        reply = ReplyMessage(
            1, document=document(behaviour.label), timings=Timings(infer=behaviour.infer_ms / 1000),
            model={"name": model, "version": version, "variant": "int8", "sha256": "0" * 64},
        )
        return Answer(reply, {}, "here", behaviour.device, "litert", simulated=False, reason="it is the only one", attempts=1)

    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        raise AssertionError((model, inputs, priority, timeout_s, tenant))

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        raise AssertionError((artifact, document, media, pictures, timeout_s))

    async def install(self, archive: bytes) -> tuple[str, str]:
        identity = read_identity(archive)
        self.versions.setdefault((identity.name, identity.version), Behaviour())
        return identity.name, identity.version

    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        await asyncio.sleep(0)
        for model, version in [*active.items(), *candidates.items()]:
            if not version:
                continue
            behaviour = self.versions.get((model, version))
            if behaviour is None or behaviour.refused:
                raise PackageError(f"model package {model}: {behaviour.refused if behaviour else 'it is not installed'}")
        self.active, self.candidates = dict(active), dict(candidates)
        self.served.append((self.active, self.candidates))


def document(label: str) -> dict[str, Any]:
    """A classification between `normal` and `abnormal`, as the result's document."""
    rows = [{"label": name, "probability": 0.9 if name == label else 0.1} for name in ("normal", "abnormal")]
    return {
        "kind": "classification", "label": label, "probability": 0.9, "probabilities": rows, "prediction_set": None,
        "abstained": False, "abstention": None, "region": {"x": 0, "y": 0, "width": 1, "height": 1}, "evidence": None,
        "notices": [],
    }
