"""The models on one device, in the process that owns it: verified, warmed, checked by known answers, and changed while they
serve. Run as `python -m edge_runtime.engine` it is the worker of a real device.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from domains import media, registry
from domains.core import Classification, ModelSpec
from domains.core.documents import from_document, to_document
from domains.core.overlay import draw, heatmap_picture
from domains.core.quality import measure_answer
from domains.errors import InvalidParameter
from edge_runtime import known_answer
from edge_runtime.abandonment import Proceed, wanted
from edge_runtime.backends import Backend, load_backend
from edge_runtime.catalogue import Catalogue
from edge_runtime.crew import Crew, CrewModel
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.models import PIXELS, ModelPackage
from edge_runtime.monitor import Monitor, MonitoredBackend
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.usb_reset import reset_usb
from edge_runtime.wire import (
    BeatMessage,
    ConfigureMessage,
    ModelCost,
    ReadyMessage,
    ReplyMessage,
    TaskMessage,
    TensorSpec,
    Timings,
    Track,
)
from edge_runtime.worker import Engine, TaskRunner, WorkerConfig, main

logger = logging.getLogger(__name__)

TIMED_RUNS = 2
WIDEST = 4
"""Cores that one invocation is spread over at most."""


@dataclass(frozen=True, slots=True)
class ModelSet:
    """What answers on one track. `specs`: every trusted model, by name; `loaded`: those that run on this device."""

    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    loaded: Mapping[str, LoadedModel] = field(default_factory=dict)


class ModelRunner(TaskRunner):
    """Decodes, runs flows and draws. `sets` is replaced as a whole when other packages are served."""

    def __init__(self, limits: media.Limits, crew: Crew) -> None:
        self._limits = limits
        self._crew = crew
        self.sets: Mapping[Track, ModelSet] = {"active": ModelSet(), "candidate": ModelSet()}

    def run(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed = wanted
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        with self._crew.at_work():
            match task.action:
                case "analyse":
                    return self.analyse(task, blobs, proceed)
                case "render":
                    return self.render(task, blobs, proceed)
                case "infer":
                    return self.infer(task, blobs, proceed)

    def analyse(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed = wanted
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        """Bytes to an answer, or the word that they are a clip. Raises DomainError where they can't be answered."""
        started = time.perf_counter()
        models = self.sets[task.track]
        domain = registry.load(task.domain)
        specs = [spec for spec in models.specs.values() if spec.domain == task.domain]
        payload = bytes(blobs["input"])  # what reads the header and what decodes want bytes: copied once
        header = media.read_header(payload, self._limits)
        plan = domain.plan(header, task.parameters, specs)
        if header.frame_count > 1 and "frame" not in task.parameters:
            return ReplyMessage(task.id, clip=True, model={"name": plan.model.name},
                                parameters=dict(plan.parameters or {})), {}
        if plan.by_pixels is None and plan.model.name not in models.loaded:
            return ReplyMessage(task.id, needs_model=plan.model.name), {}
        image = media.decode(payload, header, self._limits, frame_number=plan.frame_number, min_side=plan.min_side)
        plan = plan.settled(image)
        model = models.loaded.get(plan.model.name)
        if model is None:
            return ReplyMessage(task.id, needs_model=plan.model.name), {}
        proceed()
        decoded = time.perf_counter()
        result, spent = run_flow(domain.flow(image, plan), models.loaded, proceed)
        proceed()
        encoding = time.perf_counter()
        document, pictures = to_document(result)
        quality = measure_answer(image, result)
        ended = time.perf_counter()
        timings = Timings(
            decode=decoded - started,
            preprocess=spent.preprocess_s,
            infer=spent.infer_s,
            postprocess=spent.postprocess_s + ended - encoding,
        )
        found = {"format": header.format, "width": header.width, "height": header.height,
                 "frame": plan.frame_number, "frame_count": header.frame_count,
                 "size_bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        reply = ReplyMessage(
            task.id, document=document, media=found, model=model.describe(), timings=timings,
            parameters=dict(plan.parameters or {}),
            blobs={name: len(blob) for name, blob in pictures.items()}, quality=quality,
        )
        return reply, pictures

    def render(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed = wanted
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        """Draws `overlay.png` or `heatmap.png` of an earlier answer."""
        result = from_document(task.document, {name: bytes(blob) for name, blob in blobs.items() if name != "input"})
        if task.artifact == "heatmap.png" and isinstance(result, Classification):
            picture = heatmap_picture(result, task.media["width"], task.media["height"])
        else:
            header = media.read_header(blobs["input"], self._limits)
            image = media.decode(blobs["input"], header, self._limits, frame_number=task.media["frame"])
            proceed()
            picture = np.asarray(cv2.cvtColor(draw(image.pixels, result), cv2.COLOR_RGB2BGR), np.uint8)
        proceed()
        png = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
        return ReplyMessage(task.id, blobs={task.artifact: len(png)}), {task.artifact: png}

    def infer(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed = wanted
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        """Pixels to the network's outputs in real numbers. Raises InvalidParameter for tensors that it doesn't take."""
        model = self.sets[task.track].loaded.get(task.model)
        if model is None:
            return ReplyMessage(task.id, needs_model=task.model), {}
        takes = TensorSpec(PIXELS, "uint8", model.spec.input.shape)
        if task.tensors != [takes]:
            raise InvalidParameter(f"the version in service takes {PIXELS}, uint8 of the shape {list(takes.shape)}", parameter=PIXELS)
        proceed()
        started = time.perf_counter()
        outputs = model.run(np.frombuffer(blobs[PIXELS], np.uint8).reshape(takes.shape))
        timings = Timings(infer=time.perf_counter() - started)
        tensors = [TensorSpec(name, "float32", values.shape) for name, values in outputs.items()]
        contents = {name: values.tobytes() for name, values in outputs.items()}
        return ReplyMessage(
            task.id, model=model.describe(), timings=timings, tensors=tensors,
            blobs={name: len(content) for name, content in contents.items()},
        ), contents


@dataclass(frozen=True, slots=True)
class _Installed:
    """A package on the device: one copy of the model for each slot, or one for all on an accelerator."""

    package: ModelPackage
    copies: Sequence[LoadedModel]
    run_s: float


class ModelEngine(Engine):
    """Packages on a backend. Raises DeviceFault where the device can't be used or computes wrongly."""

    runners: Sequence[ModelRunner]

    def __init__(self, backend: Backend, config: WorkerConfig) -> None:
        self._backend = backend
        self._monitor = Monitor()
        self._crew = Crew()
        self.runners = [ModelRunner(media.Limits(**config.limits), self._crew) for _ in range(config.slots)]
        self._installed: dict[Path, _Installed] = {}
        self._costs: dict[str, ModelCost] = {}
        self._checks = 0
        self._active, candidates = self._catalogues(config)
        for catalogue in (self._active, candidates):
            for name, package in list(catalogue.packages.items()):
                try:
                    self._install(package)
                except PackageError as error:
                    catalogue.refuse(name, str(error))
        self._serve(self._active, candidates)

    def ready(self) -> ReadyMessage:
        return ReadyMessage(
            self._backend.describe(), self._active.models(), self._active.domains(), dict(self._costs),
            accelerator=self._backend.accelerator, simulated=self._backend.simulated,
            trusted=[str(package.folder) for package in self._active.trusted.values()],
        )

    def configure(self, wanted: ConfigureMessage) -> ReadyMessage:
        active, candidates = self._catalogues(wanted)
        for catalogue in (active, candidates):
            for name, reason in catalogue.refused.items():
                if name not in self._active.refused:
                    raise PackageError(reason)
            for package in catalogue.packages.values():
                try:
                    self._install(package)
                except DeviceFault as fault:
                    self._acquit(fault)
                    raise PackageError(f"model package {package.spec.name}: {fault}") from fault
        self._serve(active, candidates)
        return self.ready()

    def beat(self) -> BeatMessage:
        return BeatMessage(
            self._monitor.invoking_s(), self._monitor.least_s(), self._backend.temperature_c(), self._checks
        )

    def check(self) -> None:
        resident = next((one for one in list(self._installed.values())
                         if one.package.spec.name == self._monitor.last_model), None)
        if resident is not None:
            known_answer.check(resident.package, resident.copies[0])
            self._checks += 1

    def _catalogues(self, wanted: WorkerConfig | ConfigureMessage) -> tuple[Catalogue, Catalogue]:
        known = {folder: installed.package for folder, installed in self._installed.items()}
        active, candidates = (
            Catalogue(map(Path, folders), self._backend.variants, known=known, verdicts=wanted.verdicts)
            for folders in (wanted.packages, wanted.candidates)
        )
        return active, candidates

    def _install(self, package: ModelPackage) -> None:
        """Loads, warms and checks a package that isn't there yet. Raises PackageError, DeviceFault."""
        installed = self._installed.get(package.folder)
        if installed is not None and installed.package is package:
            return
        try:
            copies, wide = self._load(package)
            for model in (*copies, *wide):
                model.warm()
            for model in (copies[0], *wide):
                known_answer.check(package, model)
        except (ValueError, RuntimeError, LookupError) as error:
            raise PackageError(f"model package {package.spec.name}: it can't be run ({type(error).__name__})") from error
        except DeviceFault as fault:
            if self._backend.accelerator:
                raise
            raise PackageError(f"model package {package.spec.name}: {fault}") from fault  # a CPU isn't what is wrong
        self._installed[package.folder] = _Installed(package, copies, min(_timed(copies[0]) for _ in range(TIMED_RUNS)))

    def _load(self, package: ModelPackage) -> tuple[Sequence[LoadedModel], Sequence[LoadedModel]]:
        """The copies, and what they share for whoever is alone at work, if anything. Raises PackageError, DeviceFault."""
        if self._backend.accelerator:
            return [LoadedModel(package, MonitoredBackend(self._backend, self._monitor, package.spec.name))], []
        slots = len(self.runners)
        if slots == 1:
            return [LoadedModel(package, self._backend)], []
        wide = LoadedModel(package, self._backend, threads=min(slots, WIDEST))
        return [CrewModel(package, self._backend, self._crew, wide) for _ in range(slots)], [wide]

    def _acquit(self, fault: DeviceFault) -> None:
        """Raises `fault` again unless the device still gives the known answer of what it serves: then the package that
        came last is at fault.
        """
        if not self._installed:
            raise fault
        for installed in list(self._installed.values()):
            known_answer.check(installed.package, installed.copies[0])

    def _serve(self, active: Catalogue, candidates: Catalogue) -> None:
        folders = {package.folder for catalogue in (active, candidates) for package in catalogue.packages.values()}
        self._installed = {folder: one for folder, one in self._installed.items() if folder in folders}
        self._costs = self._measure(active)
        for slot, runner in enumerate(self.runners):
            serving, tried = self._set(active, slot), self._set(candidates, slot)
            others = {name: model for name, model in serving.loaded.items() if name not in tried.specs}
            runner.sets = {
                "active": serving,
                "candidate": ModelSet({**serving.specs, **tried.specs}, {**others, **tried.loaded}),
            }
        self._active = active

    def _set(self, catalogue: Catalogue, slot: int) -> ModelSet:
        loaded = {}
        for name, package in catalogue.packages.items():
            copies = self._installed[package.folder].copies
            loaded[name] = copies[slot % len(copies)]
        return ModelSet({name: package.spec for name, package in catalogue.trusted.items()}, loaded)

    def _measure(self, active: Catalogue) -> dict[str, ModelCost]:
        """Seconds of each model once it is resident, and what its first run after another model took more."""
        installed = {name: self._installed[package.folder] for name, package in active.packages.items()}
        if not self._backend.accelerator or len(installed) == 1:
            return {name: ModelCost(one.run_s) for name, one in installed.items()}
        costs = {}
        for name, one in installed.items():
            first, *others = [_timed(one.copies[0]) for _ in range(1 + TIMED_RUNS)]
            run_s = min(others)
            costs[name] = ModelCost(run_s, max(0.0, first - run_s))
        self._monitor.forget()
        return costs


def _timed(model: LoadedModel) -> float:
    started = time.perf_counter()
    model.warm()
    return time.perf_counter() - started


def set_up(config: WorkerConfig) -> Engine:
    """The engine of a real device. Raises DeviceFault."""
    cv2.setNumThreads(1)
    if config.backend == "edgetpu" and config.after == FaultKind.HUNG:
        logger.warning("edgetpu:%s %s", config.address, reset_usb(config.address))
    faults_file = Path(config.faults_file) if config.faults_file else None
    return ModelEngine(load_backend(config.backend, config.address, faults_file=faults_file), config)


if __name__ == "__main__":
    main(set_up)
