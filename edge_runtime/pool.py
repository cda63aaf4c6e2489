"""Workers kept alive, tasks kept moving: the supervised pool of device processes, in one event loop.

The decisions are the scheduler's. This file starts processes, moves frames, measures time, and turns what happens to a
process (it answers, dies, hangs) into events for the scheduler.
"""

import asyncio
import itertools
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge_runtime import wire
from edge_runtime.errors import DeadlineExceeded, InputBreaksWorker, NodeStopped
from edge_runtime.scheduler import Priority, Scheduler, Ticket
from edge_runtime.wire import ReadyMessage, ReplyMessage, TaskMessage

logger = logging.getLogger(__name__)

MALLOC_THRESHOLD_BYTES = 256 * 1024 * 1024
"""glibc hands every image buffer back to the kernel and faults it in again unless told to keep it: mallopt(3)."""

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 1.0
"""A worker ends by itself when its socket closes; one that doesn't within this is killed."""

BACK_OFF_S = (0.0, 0.2, 1.0, 5.0)
"""Pause before the next start after so many starts in a row that never became ready; the last one repeats."""


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device and the process that will own it."""

    name: str
    backend: str
    slots: int


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Bounds of the pool. `limits` are the media limits (domains.media.Limits) by name."""

    devices: tuple[DeviceConfig, ...]
    packages: tuple[str, ...]
    limits: Mapping[str, int]
    max_waiting: int
    max_waiting_bytes: int
    task_limit_s: float
    """A task that a worker holds for longer is taken for hung, and the worker is killed."""
    worker_module: str = "edge_runtime.worker"
    """What a device's process runs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's reply with its pictures, and what the pool knows of its way."""

    reply: ReplyMessage
    pictures: Mapping[str, bytes]
    device: str
    backend: str
    attempts: int


@dataclass(slots=True)
class _Task:
    message: TaskMessage
    blobs: Mapping[str, bytes | memoryview]
    answer: asyncio.Future[Answer]
    submitted: float
    """Seconds of time.perf_counter: an event loop's own clock may count whole milliseconds."""
    started: float = 0.0
    attempts: int = 0
    watchdog: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Device:
    config: DeviceConfig
    process: asyncio.subprocess.Process | None = None
    writer: asyncio.StreamWriter | None = None
    ready: bool = False
    description: ReadyMessage | None = None
    """As of the last process that became ready."""
    restarts: int = 0
    cause: str = ""
    """Why the present process was killed, where it was."""
    last_cause: str = ""
    """Why the process before it ended."""
    running: set[int] = field(default_factory=set)


class Pool:
    """All devices of one node. Use from one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._scheduler = Scheduler(max_waiting=config.max_waiting, max_waiting_bytes=config.max_waiting_bytes)
        self._tasks: dict[int, _Task] = {}
        self._ids = itertools.count(1)
        self._devices = {device.name: _Device(device) for device in config.devices}
        self._supervisors: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether at least one worker has warmed its models and takes tasks."""
        return any(device.ready for device in self._devices.values())

    @property
    def description(self) -> ReadyMessage | None:
        """What the workers said of their models; kept while one is started again."""
        return next((device.description for device in self._devices.values() if device.description), None)

    async def start(self) -> None:
        """Starts every worker; `wait_ready` tells when they serve."""
        self._supervisors = [asyncio.create_task(self._supervise(device)) for device in self._devices.values()]

    async def wait_ready(self) -> None:
        """Returns as soon as a worker is ready."""
        while not self.ready:
            self._changed.clear()
            await self._changed.wait()

    async def stop(self) -> None:
        """Ends every worker; tasks that have no answer yet fail with NodeStopped."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        for task in self._tasks.values():
            if not task.answer.done():
                task.answer.set_exception(NodeStopped("the node is stopping"))

    async def submit(
        self,
        message: TaskMessage,
        blobs: Mapping[str, bytes | memoryview],
        *,
        priority: Priority,
        timeout_s: float,
    ) -> Answer:
        """Runs a task and gives its answer, whatever happens to workers meanwhile.

        Raises Overloaded, DeadlineExceeded, InputBreaksWorker, NodeStopped, or the error that the task itself met. When
        the caller is cancelled, a waiting task is forgotten.
        """
        if not self._supervisors:
            raise NodeStopped("the node has not started")
        loop = asyncio.get_running_loop()
        now = loop.time()
        number = next(self._ids)
        size = sum(len(blob) for blob in blobs.values())
        self._scheduler.offer(Ticket(number, priority, now + timeout_s, size))
        sizes = {name: len(blob) for name, blob in blobs.items()}
        sent = msgspec.structs.replace(message, id=number, blobs=sizes)
        task = _Task(sent, blobs, loop.create_future(), time.perf_counter())
        self._tasks[number] = task
        self._assign()
        try:
            async with asyncio.timeout_at(now + timeout_s):
                return await task.answer
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {timeout_s:g} s") from None
        finally:
            task.answer.cancel()
            if self._scheduler.discard(number):
                del self._tasks[number]

    def status(self) -> dict[str, Any]:
        """Devices, queue and faults, for status pages."""
        return {
            "waiting": self._scheduler.waiting,
            "running": self._scheduler.running,
            "devices": [
                {
                    "name": name,
                    "backend": device.config.backend,
                    "device": device.description.device if device.description else "",
                    "slots": device.config.slots,
                    "ready": device.ready,
                    "restarts": device.restarts,
                    "last_cause": device.last_cause,
                }
                for name, device in self._devices.items()
            ],
        }

    def _assign(self) -> None:
        for assignment in self._scheduler.assign():
            task = self._tasks[assignment.task_id]
            device = self._devices[assignment.worker]
            loop = asyncio.get_running_loop()
            task.started = time.perf_counter()
            task.attempts += 1
            device.running.add(task.message.id)
            task.watchdog = loop.call_later(self._config.task_limit_s, self._kill, device, "hung")
            if device.writer is not None:
                device.writer.writelines([wire.encode(task.message), *task.blobs.values()])

    def _kill(self, device: _Device, cause: str) -> None:
        device.cause = cause
        logger.warning("worker %s is killed: %s", device.config.name, cause)
        if device.process is not None and device.process.returncode is None:
            device.process.kill()

    async def _supervise(self, device: _Device) -> None:
        failures = 0
        while True:
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            reader, process = await self._spawn(device)
            try:
                served = await self._serve(device, reader)
            finally:
                await self._reap(device, process)
            failures = 0 if served else failures + 1
            device.restarts += 1
            logger.warning("worker %s ended (%s) and is started again", device.config.name, device.last_cause)
            self._lose(device)

    async def _spawn(self, device: _Device) -> tuple[asyncio.StreamReader, asyncio.subprocess.Process]:
        ours, theirs = socket.socketpair()
        settings = {
            "socket_fd": theirs.fileno(),
            "backend": device.config.backend,
            "slots": device.config.slots,
            "packages": list(self._config.packages),
            "limits": dict(self._config.limits),
        }
        threshold = str(MALLOC_THRESHOLD_BYTES)
        try:
            with theirs:
                device.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", self._config.worker_module, msgspec.json.encode(settings).decode(),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    env={
                        **os.environ,
                        "MALLOC_MMAP_THRESHOLD_": threshold,
                        "MALLOC_TRIM_THRESHOLD_": threshold,
                        "OPENCV_LOG_LEVEL": "OFF",  # it would write to our log what it finds in a broken file
                    },
                )
            reader, device.writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        return reader, device.process

    async def _serve(self, device: _Device, reader: asyncio.StreamReader) -> bool:
        """Reads the worker's frames until it is gone; whether it ever became ready."""
        try:
            message, _ = await asyncio.wait_for(_read_frame(reader), START_TIMEOUT_S)
            if not isinstance(message, ReadyMessage):
                raise TypeError(f"a worker first says that it is ready, not {type(message).__name__}")
            device.ready, device.description = True, message
            self._scheduler.worker_ready(device.config.name, device.config.slots)
            self._changed.set()
            self._assign()
            while True:
                message, pictures = await _read_frame(reader)
                if isinstance(message, ReplyMessage):
                    self._finish(device, message, pictures)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process is gone: _reap learns how it ended
        except TimeoutError:
            device.cause = f"not ready within {START_TIMEOUT_S:g} s"
        except (msgspec.MsgspecError, TypeError):
            device.cause = "broke the protocol"
        return device.ready

    async def _reap(self, device: _Device, process: asyncio.subprocess.Process) -> None:
        if device.writer is not None:
            device.writer.close()
        try:
            status = await asyncio.wait_for(process.wait(), END_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            status = await process.wait()
        device.last_cause = device.cause or f"ended with exit status {status}"
        device.cause = ""

    def _lose(self, device: _Device) -> None:
        device.ready, device.writer = False, None
        broken = self._scheduler.worker_lost(device.config.name)
        for number in device.running:
            task = self._tasks[number]
            if task.watchdog is not None:
                task.watchdog.cancel()
            if number in broken and not task.answer.done():
                task.answer.set_exception(InputBreaksWorker("this input breaks the worker that reads it"))
            if task.answer.done():
                self._scheduler.discard(number)
                del self._tasks[number]
        device.running.clear()
        self._assign()

    def _finish(self, device: _Device, reply: ReplyMessage, pictures: Mapping[str, bytes]) -> None:
        task = self._tasks.pop(reply.id)
        device.running.discard(reply.id)
        if task.watchdog is not None:
            task.watchdog.cancel()
        self._scheduler.finished(device.config.name, reply.id)
        if not task.answer.done():
            if reply.error is not None:
                task.answer.set_exception(wire.error_from_wire(reply.error))
            else:
                now = time.perf_counter()
                timings = msgspec.structs.replace(
                    reply.timings, queue=task.started - task.submitted, total=now - task.submitted
                )
                reply = msgspec.structs.replace(reply, timings=timings)
                name = device.description.device if device.description else device.config.name
                task.answer.set_result(Answer(reply, pictures, name, device.config.backend, task.attempts))
        self._assign()


async def _read_frame(reader: asyncio.StreamReader) -> tuple[wire.Message, dict[str, bytes]]:
    (length,) = wire.PREFIX.unpack(await reader.readexactly(wire.PREFIX.size))
    if length > wire.MAX_HEADER_BYTES:
        raise ConnectionError(f"a header of {length} bytes")
    message = wire.decode(await reader.readexactly(length))
    return message, {name: await reader.readexactly(size) for name, size in wire.blob_sizes(message).items()}
