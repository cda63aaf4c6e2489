"""A node: the model packages of one machine and the pool of devices that runs them. Here it is embedded in a program.

This side loads no numpy, OpenCV or interpreter: all that lives in the worker processes, which describe themselves.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domains import registry
from edge_runtime.folders import find_packages
from edge_runtime.pool import Answer, DeviceConfig, Pool, PoolConfig
from edge_runtime.scheduler import Priority
from edge_runtime.wire import DomainDescription, ModelInfo, TaskMessage


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node is told. `models_dirs`: folders with model packages beside the shipped ones."""

    models_dirs: tuple[Path, ...] = ()
    workers: int = 0
    """Threads, each with an interpreter, of the CPU's process; 0 is one for each core."""
    limits: Mapping[str, int] | None = None
    """Media limits by name, see domains.media.Limits; what isn't named keeps its default."""
    max_waiting: int = 256
    max_waiting_bytes: int = 512 * 1024 * 1024
    task_limit_s: float = 30.0


def package_folders(models_dirs: Iterable[Path]) -> list[Path]:
    """The shipped model packages, then those in `models_dirs`."""
    return list(find_packages([*map(registry.models_folder, registry.names()), *models_dirs]))


class Node:
    """Devices supervised, models served. Use from one event loop."""

    name = "embedded"

    def __init__(self, config: NodeConfig) -> None:
        folders = package_folders(config.models_dirs)
        cores = len(os.sched_getaffinity(0))
        self.pool = Pool(PoolConfig(
            devices=(DeviceConfig("cpu", "litert", config.workers or cores),),
            packages=tuple(map(str, folders)),
            limits=config.limits or {},
            max_waiting=config.max_waiting,
            max_waiting_bytes=config.max_waiting_bytes,
            task_limit_s=config.task_limit_s,
        ))

    async def start(self) -> None:
        """Starts the devices' processes; `pool.wait_ready` tells when they serve."""
        await self.pool.start()

    async def stop(self) -> None:
        """Ends them."""
        await self.pool.stop()

    @property
    def ready(self) -> bool:
        """Whether a device serves at least one model."""
        return any(model.state == "ready" for model in self.models())

    def domains(self) -> Sequence[DomainDescription]:
        """Every domain, with the choices that the installed models offer; empty until the node is ready."""
        description = self.pool.description
        return description.domains if description else ()

    def models(self) -> Sequence[ModelInfo]:
        """Every model package, refused ones with the reason; empty until the node is ready."""
        description = self.pool.description
        return description.models if description else ()

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *, priority: Priority, timeout_s: float
    ) -> Answer:
        """Answers one upload. Raises DomainError or EdgeError."""
        registry.check_name(domain)
        message = TaskMessage(0, "analyse", domain, parameters=dict(parameters))
        return await self.pool.submit(message, {"input": payload}, priority=priority, timeout_s=timeout_s)

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        """Draws `overlay.png` or `heatmap.png` of an earlier answer from its document and stored pictures."""
        message = TaskMessage(0, "render", "", artifact=artifact, document=dict(document), media=dict(media))
        answer = await self.pool.submit(message, pictures, priority=Priority.INTERACTIVE, timeout_s=timeout_s)
        return answer.pictures[artifact]
