"""The process that owns one device: it decodes, runs flows, invokes and draws.

Started by the pool as `python -m edge_runtime.worker`, with a socket to the supervisor and its settings as JSON. It
verifies and warms every model, says that it is ready, and then answers tasks in as many threads as it has slots: decode
and invoke release the GIL. It ends when the socket closes, so it never outlives its supervisor.
"""

import hashlib
import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np

from domains import media, registry
from domains.core import Classification
from domains.core.documents import from_document, to_document
from domains.core.overlay import draw, heatmap_picture
from edge_runtime import wire
from edge_runtime.backends import Backend, load_backend
from edge_runtime.catalogue import Catalogue
from edge_runtime.errors import TaskFailed
from edge_runtime.models import ModelPackage
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.wire import ReadyMessage, ReplyMessage, TaskMessage, Timings

logger = logging.getLogger(__name__)


class WorkerConfig(msgspec.Struct, frozen=True):
    """What the supervisor tells a worker when it starts it."""

    socket_fd: int
    backend: str
    slots: int
    packages: list[str]
    limits: dict[str, int]


SetUp = Callable[[WorkerConfig], tuple[ReadyMessage, "Sequence[TaskRunner]"]]


class TaskRunner(ABC):
    """What one thread of a worker does with a task."""

    @abstractmethod
    def run(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> tuple[ReplyMessage, dict[str, bytes]]:
        """The reply and its pictures. Raises DomainError or EdgeError, whose message goes back to the caller."""


class ModelRunner(TaskRunner):
    """Decodes, runs flows and draws, with an interpreter of its own for every model."""

    def __init__(self, backend: Backend, packages: Mapping[str, ModelPackage], limits: media.Limits) -> None:
        self._limits = limits
        self._models = {name: LoadedModel(package, backend) for name, package in packages.items()}
        for model in self._models.values():
            model.warm()

    def run(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> tuple[ReplyMessage, dict[str, bytes]]:
        return self.analyse(task, blobs) if task.action == "analyse" else self.render(task, blobs)

    def analyse(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> tuple[ReplyMessage, dict[str, bytes]]:
        """Bytes to an answer. Raises DomainError where they can't be answered."""
        started = time.perf_counter()
        domain = registry.load(task.domain)
        specs = [model.spec for model in self._models.values() if model.spec.domain == task.domain]
        payload = blobs["input"]
        header = media.read_header(payload, self._limits)
        plan = domain.plan(header, task.parameters, specs)
        image = media.decode(payload, header, self._limits, frame_number=plan.frame_number, min_side=plan.min_side)
        decoded = time.perf_counter()
        model = self._models[plan.model.name]
        result, spent = run_flow(domain.flow(image, plan), self._models)
        encoding = time.perf_counter()
        document, pictures = to_document(result)
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
            blobs={name: len(blob) for name, blob in pictures.items()},
        )
        return reply, pictures

    def render(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> tuple[ReplyMessage, dict[str, bytes]]:
        """Draws `overlay.png` or `heatmap.png` of an earlier answer."""
        result = from_document(task.document, {name: bytes(blob) for name, blob in blobs.items() if name != "input"})
        if task.artifact == "heatmap.png" and isinstance(result, Classification):
            picture = heatmap_picture(result, task.media["width"], task.media["height"])
        else:
            header = media.read_header(blobs["input"], self._limits)
            image = media.decode(blobs["input"], header, self._limits, frame_number=task.media["frame"])
            picture = np.asarray(cv2.cvtColor(draw(image.pixels, result), cv2.COLOR_RGB2BGR), np.uint8)
        png = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
        return ReplyMessage(task.id, blobs={task.artifact: len(png)}), {task.artifact: png}


class WorkerProcess:
    """The socket loop and the threads."""

    def __init__(self, config: WorkerConfig, set_up: SetUp) -> None:
        self._set_up = set_up
        self._socket = socket.socket(fileno=config.socket_fd)
        self._config = config
        self._tasks: queue.SimpleQueue[tuple[TaskMessage, dict[str, memoryview]]] = queue.SimpleQueue()
        self._send_lock = threading.Lock()

    def run(self) -> None:
        """Serves until the supervisor closes the socket."""
        ready, runners = self._set_up(self._config)
        for runner in runners:
            threading.Thread(target=self._serve, args=(runner,), daemon=True).start()
        self._send(ready, {})
        while (frame := self._receive()) is not None:
            self._tasks.put(frame)

    def _serve(self, runner: TaskRunner) -> None:
        while True:
            task, blobs = self._tasks.get()
            try:
                reply, pictures = runner.run(task, blobs)
            except Exception as error:
                wired = wire.error_to_wire(error)
                if wired.kind == TaskFailed.__name__:
                    logger.error("task failed: %s\n%s", type(error).__name__, _frames(error))
                reply, pictures = ReplyMessage(task.id, error=wired), {}
            del blobs
            self._send(reply, pictures)

    def _send(self, message: wire.Message, pictures: Mapping[str, bytes]) -> None:
        with self._send_lock:
            self._socket.sendall(b"".join((wire.encode(message), *pictures.values())))

    def _receive(self) -> tuple[TaskMessage, dict[str, memoryview]] | None:
        prefix = self._read(wire.PREFIX.size)
        if prefix is None:
            return None
        header = self._read(*wire.PREFIX.unpack(prefix))
        message = wire.decode(bytes(header or b""))
        if not isinstance(message, TaskMessage):
            raise TypeError(f"a worker takes tasks, not {type(message).__name__}")
        blobs = {name: self._read(size) for name, size in message.blobs.items()}
        return message, {name: blob for name, blob in blobs.items() if blob is not None}

    def _read(self, size: int) -> memoryview | None:
        buffer = memoryview(bytearray(size))
        done = 0
        while done < size:
            count = self._socket.recv_into(buffer[done:])
            if count == 0:
                return None
            done += count
        return buffer


def set_up(config: WorkerConfig) -> tuple[ReadyMessage, Sequence[TaskRunner]]:
    """Verifies every package, loads and warms every model once for each slot."""
    cv2.setNumThreads(1)
    backend = load_backend(config.backend)
    catalogue = Catalogue(map(Path, config.packages), backend.variants)
    limits = media.Limits(**config.limits)
    runners = [ModelRunner(backend, catalogue.packages, limits) for _ in range(config.slots)]
    return ReadyMessage(backend.describe(), catalogue.models(), catalogue.domains()), runners


def main(set_up: SetUp = set_up) -> None:
    """Entry point; `sys.argv[1]` is a WorkerConfig as JSON."""
    logging.basicConfig(level=logging.WARNING, format="worker %(process)d: %(message)s")
    config = msgspec.json.decode(sys.argv[1], type=WorkerConfig)
    status = 0
    try:
        WorkerProcess(config, set_up).run()
    except Exception as error:
        logger.error("worker failed: %s\n%s", type(error).__name__, _frames(error))
        status = 1
    os._exit(status)  # a thread may hang in a native library: nothing may keep the process alive


def _frames(error: Exception) -> str:
    """Where an error came from, without its message, which may quote a patient's file."""
    return "\n".join(f"  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__))


if __name__ == "__main__":
    main()
