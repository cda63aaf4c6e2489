"""A node inside this program: the model packages of this machine and the pool of devices that runs them."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from domains import registry
from edge_runtime.device import DeviceConfig
from edge_runtime.devices import AUTO, CPU_BACKEND, DeviceSpec, discover, parse_device
from edge_runtime.errors import PackageError
from edge_runtime.folders import find_packages
from edge_runtime.inference import Tensor, from_reply, to_task
from edge_runtime.node import Answer, Node, Renew
from edge_runtime.pool import Pool, PoolConfig
from edge_runtime.routing import model_hint
from edge_runtime.scheduler import Priority
from edge_runtime.signatures import Signatures, SignersError, Verdicts, approval, standing
from edge_runtime.simulated_faults import faults_file
from edge_runtime.versions import ModelStore
from edge_runtime.wire import DomainDescription, ModelInfo, NodeState, TaskMessage, Track

ACCELERATOR_SLOTS = 2
"""Threads of an accelerator's process: one decodes while the other's invocation runs."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node is told. `models_dirs`: folders with model packages beside the shipped ones. `data_dir`: where
    installed packages and the faults of simulated devices lie.
    """

    name: str = "embedded"
    data_dir: Path = Path("var")
    models_dirs: tuple[Path, ...] = ()
    devices: tuple[str, ...] = (AUTO,)
    """Devices in their text form (devices.py); `auto` is the CPU and every Edge TPU that is found."""
    workers: int = 0
    """Threads, each with an interpreter, of the CPU's process; 0 is one for each core."""
    limits: Mapping[str, int] | None = None
    """Media limits by name, see domains.media.Limits; what isn't named keeps its default."""
    max_waiting: int = 256
    max_waiting_bytes: int = 512 * 1024 * 1024
    task_limit_s: float = 30.0
    device_limit_s: float = 1.0
    signers: tuple[Path, ...] = ()
    """Files (PEM) of whoever must have signed a package for it to be served; none: signatures aren't asked for."""


def package_folders(models_dirs: Iterable[Path]) -> list[Path]:
    """The shipped model packages, then those in `models_dirs`."""
    return list(find_packages([*map(registry.models_folder, registry.names()), *models_dirs]))


def device_configs(config: NodeConfig) -> tuple[DeviceConfig, ...]:
    """The devices that are meant. Raises ValueError, listing the choices, for one that can't be, or is named twice."""
    specs: list[DeviceSpec] = []
    for text in config.devices:
        specs += [parse_device("cpu"), *discover()] if text == AUTO else [parse_device(text)]
    names = [spec.name for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"the device {twice[0]} is named twice")
    if len(processors := [spec.name for spec in specs if spec.backend == CPU_BACKEND]) > 1:
        raise ValueError(f"{' and '.join(processors)} are the same CPU")
    return tuple(_configured(spec, config) for spec in specs)


def _configured(spec: DeviceSpec, config: NodeConfig) -> DeviceConfig:
    cores = len(os.sched_getaffinity(0))
    accelerator = spec.backend != CPU_BACKEND
    slots = ACCELERATOR_SLOTS if accelerator else config.workers or cores
    return DeviceConfig(
        spec.name, spec.backend, slots, spec.address, accelerator,
        str(faults_file(config.data_dir / "simulated", spec.name)) if spec.backend == "simulated" else "",
        ahead=0 if accelerator else slots // 2,
    )


class EmbeddedNode(Node):
    """Devices supervised, models served. Raises ValueError for devices that can't be. Where there are signers the
    constructor checks the packages that are there, which takes seconds, and raises SignersError where it can't.
    """

    def __init__(self, config: NodeConfig) -> None:
        self.name = config.name
        devices = device_configs(config)
        self._signatures = Signatures(config.signers) if config.signers else None
        self._store = ModelStore(config.data_dir / "models", approve=approval(config.signers))
        found = package_folders(config.models_dirs)
        self._verdicts: Verdicts = self._signatures.check(found) if self._signatures else None
        self._folders = standing(found, self._verdicts)
        self._pool = Pool(PoolConfig(
            devices=devices,
            packages=tuple(map(str, self._folders)),
            verdicts=self._verdicts,
            limits=config.limits or {},
            max_waiting=config.max_waiting,
            max_waiting_bytes=config.max_waiting_bytes,
            task_limit_s=config.task_limit_s,
            device_limit_s=config.device_limit_s,
            node_name=config.name,
        ))

    @property
    def folders(self) -> Sequence[Path]:
        """The packages that are served unless others are installed; refused ones too, by name."""
        return self._folders

    async def start(self) -> None:
        await self._pool.start()

    async def stop(self) -> None:
        await self._pool.stop()

    async def wait_ready(self) -> None:
        await self._pool.wait_ready()

    @property
    def ready(self) -> bool:
        return self._pool.ready and any(model.state == "ready" for model in self.models())

    def states(self) -> Sequence[NodeState]:
        return (self._pool.state(),)

    def domains(self) -> Sequence[DomainDescription]:
        description = self._pool.description
        return description.domains if description else ()

    def models(self) -> Sequence[ModelInfo]:
        description = self._pool.description
        return description.models if description else ()

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        registry.check_name(domain)
        message = TaskMessage(0, "analyse", domain, parameters=dict(parameters), track=track)
        return await self._pool.submit(
            message, {"input": payload}, priority=priority, timeout_s=timeout_s, tenant=tenant,
            model=model_hint(domain, parameters, self.models()), renew=renew,
        )

    async def infer(
        self, model: str, inputs: Sequence[Tensor], *, priority: Priority, timeout_s: float, tenant: str = "",
    ) -> Answer:
        message, blobs = to_task(model, inputs)
        answer = await self._pool.submit(
            message, blobs, priority=priority, timeout_s=timeout_s, tenant=tenant, model=model
        )
        return replace(answer, tensors=from_reply(answer.reply, answer.pictures), pictures={})

    async def render(
        self, artifact: str, document: Mapping[str, Any], media: Mapping[str, Any], pictures: Mapping[str, bytes],
        *, timeout_s: float,
    ) -> bytes:
        message = TaskMessage(0, "render", "", artifact=artifact, document=dict(document), media=dict(media))
        answer = await self._pool.submit(
            message, pictures, priority=Priority.INTERACTIVE, timeout_s=timeout_s, model=None
        )
        return answer.pictures[artifact]

    async def install(self, archive: bytes) -> tuple[str, str]:
        return await asyncio.to_thread(self._store.install, archive)

    async def serve(self, active: Mapping[str, str], candidates: Mapping[str, str]) -> None:
        chosen = {name: self._store.folder(name, version) for name, version in active.items() if version}
        shipped = [folder for folder in self._folders if folder.name not in active]
        tried = [self._store.folder(name, version) for name, version in candidates.items()]
        verdicts = await asyncio.to_thread(self._judged, [*chosen.values(), *tried])
        await self._pool.configure([*map(str, shipped), *map(str, chosen.values())], [*map(str, tried)], verdicts)

    def _judged(self, installed: Iterable[Path]) -> Verdicts:
        """The verdicts with those on installed packages. Raises PackageError for one that isn't signed as it should be.

        A good verdict is kept: it is on one manifest, which alone is loaded, whatever becomes of the folder.
        """
        if self._signatures is None or self._verdicts is None:
            return None
        new = [folder for folder in installed if str(folder) not in self._verdicts]
        try:
            found = self._signatures.check(new) if new else {}
        except SignersError as error:
            raise PackageError(f"signatures can't be checked: {error}") from error
        refusal = next((verdict.refusal for verdict in found.values() if verdict.refusal), "")
        if refusal:
            raise PackageError(refusal)
        self._verdicts = {**self._verdicts, **found}
        return self._verdicts
