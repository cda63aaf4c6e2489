"""`hedgerow cloud worker`: a Celery worker around one node, whose devices run the float variants of the models.

Two threads of control: the process's first one belongs to Celery and to signals, another one to the event loop of the node.
Celery's pool of threads waits for tasks that run there. A message is acknowledged once its answer lies in the object store,
so that a worker which is killed loses none.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import structlog
from celery import Celery
from celery.exceptions import Reject

from edge_runtime.embedded import EmbeddedNode, NodeConfig, device_configs
from edge_runtime.node import Answer
from edge_runtime.scheduler import Priority
from gateway.cloud.celery_app import worker_app
from gateway.cloud.celery_worker import BrokerRefused, reaches_broker, serve
from gateway.cloud.config import CloudConfig
from gateway.cloud.messages import TASK, Outcome
from gateway.cloud.objects import ObjectFolder, StoreRefused
from gateway.cloud.work import CloudWork
from gateway.service.answering import Answering
from gateway.service.clips import ClipReader
from gateway.service.cloud.ports import CloudUnreachable

logger = structlog.get_logger("hedgerow.cloud")

DEVICE = "cpu:float32"
STORE_TRIES_S = (1.0, 5.0, 15.0, 30.0)
"""Pauses between tries while the object store can't be reached. After the last one the message is dropped: a gateway that
still waits sends it again."""
SWEEP_EVERY_S = 3600.0
STOP_S = 10.0
T = TypeVar("T")


class WorkerError(Exception):
    """The worker can't start or go on; the message says what to change."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What the worker is told. `workers`: tasks at once, 0 is one for each core; `leftover_days`: objects that nobody has
    touched for so long are removed; `signers`: as in NodeConfig.
    """

    cloud: CloudConfig
    data_dir: Path = Path("var")
    models_dirs: tuple[Path, ...] = ()
    workers: int = 0
    limits: Mapping[str, int] | None = None
    clip_frames: int = 150
    task_limit_s: float = 30.0
    leftover_days: float = 8.0
    signers: tuple[Path, ...] = ()

    def node(self) -> NodeConfig:
        """Of the node inside."""
        return NodeConfig(
            name=socket.gethostname(), data_dir=self.data_dir, models_dirs=self.models_dirs, devices=(DEVICE,),
            workers=self.workers, limits=self.limits, task_limit_s=self.task_limit_s, signers=self.signers,
        )


def run_worker(config: WorkerConfig) -> int:
    """Works until SIGTERM, SIGINT or SIGQUIT; gives the exit status. Raises WorkerError."""
    try:
        store = ObjectFolder(config.cloud.store, config.cloud.store_options)
    except StoreRefused as error:
        raise WorkerError(str(error)) from None
    app = worker_app(config.cloud)
    _check_broker(app)
    with _Loop() as loop:
        try:
            loop.run(store.check())
            node = loop.run(_started(config.node()))
        except CloudUnreachable as error:
            raise WorkerError(str(error)) from None
        sweeping = loop.begin(_sweep(store, timedelta(days=config.leftover_days)))
        try:
            return _serve(config, app, store, node, loop)
        finally:
            sweeping.cancel()
            loop.run(node.stop())


def _check_broker(app: Celery) -> None:
    try:
        if not reaches_broker(app):
            logger.warning("the broker can't be reached yet; the worker waits for it", broker=app.connection().as_uri())
    except BrokerRefused:
        raise WorkerError(
            "the broker refuses the user, the password or the place in it that HEDGEROW_CLOUD_BROKER names"
        ) from None


def _serve(config: WorkerConfig, app: Celery, store: ObjectFolder, node: EmbeddedNode, loop: "_Loop") -> int:
    clips = ClipReader(config.limits or {}, most_frames=config.clip_frames)
    work = CloudWork(store, Answering(node, _asking(node), clips, draws_key_frames=True))
    stopping = threading.Event()

    @app.task(name=TASK, bind=True, acks_late=True)
    def analyse(self: Any, document: Any) -> dict[str, Any]:
        outcome = _outcome(work, loop, stopping, str(self.request.id), document)
        found: dict[str, Any] = msgspec.to_builtins(outcome)
        return found

    def ready() -> None:
        logger.info("ready", broker=app.connection().as_uri(), queue=config.cloud.queue, store=store.where, node=node.name,
                    models={model.name: model.variant for model in node.models() if model.state == "ready"})

    slots = sum(device.slots for device in device_configs(config.node()))
    return serve(app, slots=slots, host=node.name, on_ready=ready, stopping=stopping)


def _outcome(
    work: CloudWork, loop: "_Loop", stopping: threading.Event, task_id: str, document: object
) -> Outcome:
    """Waits for the answer. Whatever is unforeseen stays here: Celery would send its text to the result backend."""
    for pause_s in (*STORE_TRIES_S, None):
        try:
            return loop.run(work.do(task_id, document))
        except CloudUnreachable as error:
            logger.error("the object store fails; a task waits", task=task_id, cause=str(error))
            if pause_s is None:
                break
            if stopping.wait(pause_s):
                raise Reject("the worker stops", requeue=True) from None
        except Exception as error:
            logger.error("a task met an unforeseen error", task=task_id, kind=type(error).__name__)
            break
    return Outcome(answered=False, note="the worker could not store an answer")


async def _started(config: NodeConfig) -> EmbeddedNode:
    node = EmbeddedNode(config)
    await node.start()
    await node.wait_ready()
    if not node.ready:
        await node.stop()
        raise WorkerError("no model package can be used here; the log says why")
    return node


def _asking(node: EmbeddedNode) -> Any:
    async def ask(
        domain: str, payload: bytes, parameters: Mapping[str, Any], *, request_id: str, priority: Priority,
        timeout_s: float, tenant: str,
    ) -> Answer:
        del request_id
        return await node.analyse(domain, payload, parameters, priority=priority, timeout_s=timeout_s, tenant=tenant)

    return ask


async def _sweep(store: ObjectFolder, age: timedelta) -> None:
    while True:
        try:
            gone = await store.sweep(age)
            if gone:
                logger.info("leftovers were removed from the object store", objects=gone)
        except CloudUnreachable as error:
            logger.warning("leftovers could not be removed", cause=str(error))
        await asyncio.sleep(SWEEP_EVERY_S)


class _Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="node", daemon=True)

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts it there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for it here. Raises what it raises."""
        return self.begin(work).result()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
