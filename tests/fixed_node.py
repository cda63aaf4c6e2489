"""A node whose state a test sets and whose every answer is the same: for tests of what stands above it."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge_runtime.inference import Tensor
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.wire import DeviceState, DomainDescription, ModelInfo, NodeState, ReplyMessage, Track

CPU = DeviceState(
    "cpu", "litert", "serving", description="2 cores", slots=2, running=1, answers=1204, utilisation=0.25,
    resident="lung_ultrasound", models=["lung_ultrasound"],
)
LOST = DeviceState(
    "simulated:usb3", "simulated", "faulty", description="simulated Edge TPU on USB 3", accelerator=True, simulated=True,
    slots=2, answers=77, temperature="no sensor", restarts=3, faults={"lost": 2, "hung": 1}, fault="lost",
    last_cause="the device <b>went away</b> during an invocation: is it still plugged in?", retry_in_s=3.6, out_for_s=12.4,
)
BACK = DeviceState(
    "simulated:usb3", "simulated", "serving", description="simulated Edge TPU on USB 3", accelerator=True, simulated=True,
    slots=2, running=1, answers=80, utilisation=0.5, resident="lung_ultrasound", temperature="no sensor", restarts=4,
    faults={"lost": 2, "hung": 1}, last_cause=LOST.last_cause,
)
WARM = DeviceState(
    "edgetpu:pci:0", "edgetpu", "serving", description="Edge TPU on PCIe", accelerator=True, slots=2,
    temperature_c=54.25, temperature="54 °C",
)
EMBEDDED = NodeState("embedded", ready=True, waiting=3, running=2, expected_wait_s=0.125, devices=[CPU, LOST])
FARM = NodeState("farm", "farm.example:8090", ready=True, devices=[WARM])
GONE = NodeState("barn", "barn.example:8090", reachable=False, cause="silent for 2 s", expected_wait_s=float("inf"))


class FixedNode(Node):
    """`asked`: the tenants that it was asked for, in order. `states_now` may be changed while it is in use."""

    name = "fixed"

    def __init__(self, *states: NodeState, document: Mapping[str, Any] | None = None) -> None:
        self.states_now = list(states)
        self.asked: list[tuple[str, Track]] = []
        self._document = dict(document or {"kind": "classification", "label": "normal", "abstained": False})

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def wait_ready(self) -> None:
        pass

    @property
    def ready(self) -> bool:
        return any(state.ready for state in self.states_now)

    def states(self) -> Sequence[NodeState]:
        return self.states_now

    def domains(self) -> Sequence[DomainDescription]:
        return ()

    def models(self) -> Sequence[ModelInfo]:
        return ()

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        del domain, payload, parameters, priority, timeout_s, renew
        self.asked.append((tenant, track))
        reply = ReplyMessage(1, document=self._document, model={
            "name": "lung_ultrasound", "version": "1.0.0", "variant": "int8", "sha256": "0" * 64,
        })
        return Answer(reply, {}, "farm", "a simulated Edge TPU", "simulated", True, "it is the fastest", 2)

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
        raise AssertionError(archive)

    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        raise AssertionError((active, candidates))
