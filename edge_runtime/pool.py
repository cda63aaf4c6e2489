"""Tasks kept moving over the devices of one node, whatever happens to a device, in one event loop.

Which task runs where is the scheduler's decision; what a device's process does is device.py's to know. This file holds the
tasks and their callers, and carries events from the one to the other.
"""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from edge_runtime import wire
from edge_runtime.device import Device, DeviceConfig, DeviceOwner, ProcessConfig, Served
from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    FaultKind,
    InputBreaksWorker,
    ModelUnavailable,
    NodeStopped,
    PackageError,
)
from edge_runtime.node import Answer, Renew
from edge_runtime.reasons import reason_for
from edge_runtime.scheduler import Assignment, Priority, Scheduler, Ticket
from edge_runtime.signatures import Verdicts
from edge_runtime.wire import AbandonedWork, NodeState, ReadyMessage, ReplyMessage, TaskMessage


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """Bounds of the pool. `limits` are the media limits (domains.media.Limits) by name."""

    devices: tuple[DeviceConfig, ...]
    packages: tuple[str, ...]
    limits: Mapping[str, int]
    max_waiting: int
    max_waiting_bytes: int
    task_limit_s: float
    """A task that a device holds for longer is taken for hung, and the device's process is killed."""
    device_limit_s: float = 1.0
    """The same for a single invocation of an accelerator."""
    node_name: str = "embedded"
    worker_module: str = "edge_runtime.engine"
    """What a device's process runs."""
    verdicts: Verdicts = None


@dataclass(slots=True)
class _Task:
    message: TaskMessage
    blobs: Mapping[str, bytes | memoryview]
    answer: asyncio.Future[Answer]
    model: str | None
    submitted: float
    """Seconds of time.perf_counter: an event loop's own clock may count whole milliseconds."""
    unserved: bool
    """Whether no device served the model when the task came."""
    started: float = 0.0
    renew: Renew | None = None
    attempts: int = 0
    reason: str = ""
    device: Device | None = None
    """The one that has it, or had it last."""
    watchdog: asyncio.TimerHandle | None = None


class Pool(DeviceOwner):
    """All devices of one node. Use from one event loop."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._scheduler = Scheduler(max_waiting=config.max_waiting, max_waiting_bytes=config.max_waiting_bytes)
        self._tasks: dict[int, _Task] = {}
        self._ids = itertools.count(1)
        self._served = Served(config.packages, verdicts=config.verdicts)
        process = ProcessConfig(config.limits, config.worker_module, config.device_limit_s)
        self._devices = {
            device.name: Device(device, process, self._accelerated if device.accelerator else self._all, self)
            for device in config.devices
        }
        self._supervisors: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._configuring = asyncio.Lock()
        self._abandoned = AbandonedWork()

    @property
    def ready(self) -> bool:
        """Whether at least one device has checked its models and takes tasks."""
        return any(device.serving for device in self._devices.values())

    @property
    def description(self) -> ReadyMessage | None:
        """What the devices said of the models, a CPU before an accelerator; kept while one is started again."""
        described = sorted(self._devices.values(), key=lambda device: device.config.accelerator)
        return next((device.description for device in described if device.description), None)

    async def start(self) -> None:
        """Starts every device; `wait_ready` tells when one serves."""
        self._supervisors = [asyncio.create_task(device.supervise()) for device in self._devices.values()]

    async def wait_ready(self) -> None:
        """Returns as soon as a device serves."""
        while not self.ready:
            self._changed.clear()
            await self._changed.wait()

    async def stop(self) -> None:
        """Ends every device's process; tasks that have no answer yet fail with NodeStopped."""
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
        tenant: str = "",
        model: str | None = "",
        renew: Renew | None = None,
    ) -> Answer:
        """Runs a task and gives its answer, whatever happens to devices meanwhile.

        `model`: the model that it needs, empty where that isn't known yet, None where it needs none. `renew` gives the blob
        `input` when a device takes the task. Raises Overloaded,
        DeadlineExceeded, ModelUnavailable, InputBreaksWorker, NodeStopped, or the error that the task itself met. When
        the caller is cancelled, or the time has passed, a task that waits is forgotten, and one that runs is stopped at its
        next step.
        """
        if not self._supervisors:
            raise NodeStopped("the node has not started")
        loop = asyncio.get_running_loop()
        now = loop.time()
        number = next(self._ids)
        size = sum(len(blob) for blob in blobs.values())
        self._scheduler.offer(Ticket(number, priority, now + timeout_s, size, tenant, model), now)
        sizes = {name: len(blob) for name, blob in blobs.items()}
        sent = msgspec.structs.replace(message, id=number, blobs=sizes)
        unserved = not any(device.serving and device.may_serve(model) for device in self._devices.values())
        task = _Task(sent, blobs, loop.create_future(), model, time.perf_counter(), unserved, renew=renew)
        self._tasks[number] = task
        self._assign()
        try:
            async with asyncio.timeout_at(now + timeout_s):
                return await task.answer
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {timeout_s:g} s") from None
        finally:
            task.answer.cancel()
            self._leave(number, task)

    async def configure(self, packages: Sequence[str], candidates: Sequence[str], verdicts: Verdicts = None) -> None:
        """Serves exactly these packages from now on, and `candidates` beside them, while tasks go on.

        Raises PackageError where a device refuses one; then all devices serve what they served before. Raises DeviceFault
        where none is in service.
        """
        async with self._configuring:
            before = self._served
            try:
                await self._order(Served(tuple(packages), tuple(candidates), verdicts))
            except PackageError:
                await self._order(before)
                raise

    def state(self) -> NodeState:
        """Devices, queue and faults, for status pages."""
        return NodeState(
            name=self._config.node_name, ready=self.ready,
            cause="" if self.ready else next(
                (device.health.last_cause for device in self._devices.values() if device.health.last_cause), "starting"),
            waiting=self._scheduler.waiting + self._scheduler.ahead, running=self._scheduler.running,
            expected_wait_s=round(self._scheduler.expected_wait_s(), 4),
            devices=[device.state(self._scheduler.resident(name)) for name, device in self._devices.items()],
            abandoned=self._abandoned,
        )

    def device_ready(self, device: Device) -> None:
        if device.description is not None:
            self._scheduler.worker_ready(
                device.name, device.config.slots, device.description.costs, device.config.accelerator, ahead=device.config.ahead
            )
        self._changed.set()
        self._assign()

    def device_replied(self, device: Device, reply: ReplyMessage, pictures: Mapping[str, bytes]) -> None:
        task = self._tasks[reply.id]
        device.done(reply.id)
        if task.watchdog is not None:
            task.watchdog.cancel()
        now = asyncio.get_running_loop().time()
        if reply.needs_model and not task.answer.done():
            self._send_elsewhere(device, task, reply)
        else:
            del self._tasks[reply.id]
            unfinished = reply.abandoned or reply.needs_model != ""
            busy_s = self._scheduler.finished(device.name, reply.id, now, abandoned=unfinished)
            if task.answer.cancelled():
                self._count(device_s=busy_s)
            elif not task.answer.done():
                self._tell(device, task, reply, pictures)
        self._assign()

    def device_beat(self) -> None:
        if self._scheduler.waiting:
            self._assign()

    def device_lost(self, device: Device, *, blame_input: bool) -> None:
        broken = self._scheduler.worker_lost(device.name, blame_input=blame_input)
        for number in device.running:
            task = self._tasks[number]
            if task.watchdog is not None:
                task.watchdog.cancel()
            if number in broken and not task.answer.done():
                task.answer.set_exception(InputBreaksWorker("this input breaks the worker that reads it"))
            if task.answer.done():
                self._scheduler.discard(number)
                del self._tasks[number]
        self._assign()

    def _assign(self) -> None:
        loop = asyncio.get_running_loop()
        for assignment in self._scheduler.assign(loop.time()):
            task = self._tasks[assignment.task_id]
            device = self._devices[assignment.worker]
            task.started = time.perf_counter()
            task.device = device
            task.attempts += 1
            if task.renew is not None:
                _renewed(task, task.renew())
            task.reason = self._reason(assignment, task, device)
            task.watchdog = loop.call_later(self._config.task_limit_s, self._hung, device)
            device.send(task.message, task.blobs)

    def _leave(self, number: int, task: _Task) -> None:
        """The caller waits no longer: it has its answer, or has left."""
        left = task.answer.cancelled()
        if self._scheduler.discard(number):
            del self._tasks[number]
            self._count(waiting=left)
        elif left and number in self._tasks and task.device is not None:
            task.device.abandon(number)
            self._count(running=1)

    def _count(self, *, waiting: int = 0, running: int = 0, device_s: float = 0.0) -> None:
        so_far = self._abandoned
        self._abandoned = AbandonedWork(so_far.waiting + waiting, so_far.running + running, so_far.device_s + device_s)

    def _reason(self, assignment: Assignment, task: _Task, device: Device) -> str:
        waited_s = task.started - task.submitted if task.unserved else 0.0
        return reason_for(assignment.reason, device, self._devices.values(), task.model, waited_s)

    def _hung(self, device: Device) -> None:
        device.end(FaultKind.HUNG, f"a task took longer than {self._config.task_limit_s:g} s", blame_input=True)

    def _send_elsewhere(self, device: Device, task: _Task, reply: ReplyMessage) -> None:
        """The device has no variant of the model that the input turned out to need."""
        task.attempts -= 1
        task.model = reply.needs_model
        self._scheduler.returned(device.name, reply.id, reply.needs_model)
        if any(other.may_serve(reply.needs_model) for other in self._devices.values()):
            return
        self._scheduler.discard(reply.id)
        del self._tasks[reply.id]
        if not task.answer.done():
            task.answer.set_exception(ModelUnavailable(f"no device of this node runs the model {reply.needs_model}"))

    def _tell(self, device: Device, task: _Task, reply: ReplyMessage, pictures: Mapping[str, bytes]) -> None:
        if reply.error is not None:
            task.answer.set_exception(wire.error_from_wire(reply.error))
            return
        now = time.perf_counter()
        timings = msgspec.structs.replace(reply.timings, queue=task.started - task.submitted, total=now - task.submitted)
        described = device.description
        task.answer.set_result(Answer(
            reply=msgspec.structs.replace(reply, timings=timings), pictures=pictures, node=self._config.node_name,
            device=described.device if described else device.name, backend=device.config.backend,
            simulated=bool(described and described.simulated), reason=task.reason, attempts=task.attempts,
        ))

    async def _order(self, served: Served) -> None:
        """Has every device in service change over, a CPU first; one that is out of service does so when it comes back."""
        if not self.ready:
            raise DeviceFault("no device is in service that could check the packages", kind=FaultKind.ABSENT)
        for device in sorted(self._devices.values(), key=lambda device: device.config.accelerator):
            if not device.serving:
                continue
            try:
                await device.configure(served.order(next(self._ids)))
            except DeviceFault as fault:
                if not device.config.accelerator:
                    raise PackageError(f"the packages end the process that loads them: {fault}") from fault
            else:
                if device.description is not None:
                    self._scheduler.worker_costs(device.name, device.description.costs)
        self._served = served

    async def _all(self) -> Served:
        return self._served

    async def _accelerated(self) -> Served:
        """Only what a CPU has found good: then a known answer that doesn't come out is the device's fault."""
        judges = [device for device in self._devices.values() if not device.config.accelerator]
        while judges and not any(device.description for device in judges):
            self._changed.clear()
            await self._changed.wait()
        described = next((device.description for device in judges if device.description), None)
        trusted = None if described is None else set(described.trusted)
        return replace(self._served, packages=tuple(p for p in self._served.packages if trusted is None or p in trusted))


def _renewed(task: _Task, content: bytes) -> None:
    task.blobs = {**task.blobs, "input": content}
    task.message = msgspec.structs.replace(task.message, blobs={**task.message.blobs, "input": len(content)})
