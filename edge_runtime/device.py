"""One device and the process that owns it: started, listened to, ended when it hangs or drags, started again.

The decisions on pauses are health.py's, those on tasks the owner's (pool.py). This file moves frames and turns what happens
to a process (it answers, falls silent, says that its device failed, dies) into events for the owner.
"""

import asyncio
import logging
import os
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from edge_runtime import wire
from edge_runtime.errors import DeviceFault, FaultKind
from edge_runtime.health import Health
from edge_runtime.memory import keeping_buffers
from edge_runtime.signatures import Verdicts
from edge_runtime.utilisation import Utilisation
from edge_runtime.wire import (
    AbandonMessage,
    BeatMessage,
    ConfiguredMessage,
    ConfigureMessage,
    DeviceState,
    FaultMessage,
    ReadyMessage,
    ReplyMessage,
    TaskMessage,
)

logger = logging.getLogger(__name__)

KEPT_BYTES = 1024 * 1024 * 1024
"""Free memory that a worker keeps from one picture to the next (memory.py): more than a few of the largest take."""

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 1.0
"""A worker ends by itself when its socket closes; one that doesn't within this is killed."""

SILENCE_S = 10.0
"""The worker of an accelerator beats several times a second; one that is silent for so long is stuck as a whole."""

SLOW_FACTOR = 5.0
SLOW_AT_LEAST_S = 0.02
"""A device that takes SLOW_FACTOR times, and so much longer, than it took at its best is out of service."""


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device. `faults_file`: where a simulated one finds what to do wrong."""

    name: str
    backend: str
    slots: int
    address: str = ""
    accelerator: bool = False
    faults_file: str = ""
    ahead: int = 0
    """How many tasks its process is given beside those that it works on, where it is the only device."""


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """What all device processes of a node have in common."""

    limits: Mapping[str, int]
    worker_module: str
    device_limit_s: float
    """An accelerator's invocation that takes longer is taken for hung."""


@dataclass(frozen=True, slots=True)
class Served:
    """The folders of the packages to serve, and of the candidates beside them, with the verdicts on their signatures."""

    packages: tuple[str, ...]
    candidates: tuple[str, ...] = ()
    verdicts: Verdicts = None

    def order(self, number: int) -> ConfigureMessage:
        """What a process that runs is told, to serve this."""
        verdicts = None if self.verdicts is None else dict(self.verdicts)
        return ConfigureMessage(number, list(self.packages), list(self.candidates), verdicts)


Packages = Callable[[], Awaitable[Served]]
"""What to serve; may wait until it is known to be good."""


class DeviceOwner(ABC):
    """Who is told."""

    @abstractmethod
    def device_ready(self, device: "Device") -> None:
        """It takes tasks from now on, or serves other models than before."""

    @abstractmethod
    def device_replied(self, device: "Device", reply: ReplyMessage, pictures: Mapping[str, bytes]) -> None:
        """It has answered a task."""

    @abstractmethod
    def device_beat(self) -> None:
        """Some time has passed: what waits for a device that is late may be better off elsewhere."""

    @abstractmethod
    def device_lost(self, device: "Device", *, blame_input: bool) -> None:
        """It takes no more tasks. `blame_input`: whether a task, rather than the device, may be at fault."""


@dataclass(frozen=True, slots=True)
class _Cause:
    kind: FaultKind
    message: str
    blame_input: bool


@dataclass(slots=True)
class Device:
    """A supervised device. Use from one event loop."""

    config: DeviceConfig
    process_config: ProcessConfig
    packages: Packages
    owner: DeviceOwner
    health: Health = field(init=False)
    description: ReadyMessage | None = None
    """As of the last process that became ready."""
    running: set[int] = field(default_factory=set)
    answers: int = 0
    starts: int = 0
    utilisation: Utilisation = field(default_factory=Utilisation)
    _beat: BeatMessage = field(default_factory=BeatMessage)
    _writer: asyncio.StreamWriter | None = None
    _process: asyncio.subprocess.Process | None = None
    _cause: _Cause | None = None
    _best_s: dict[str, float] = field(default_factory=dict)
    _orders: dict[int, asyncio.Future[ReadyMessage]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.health = Health(self.config.accelerator)

    @property
    def name(self) -> str:
        """Unique on its node."""
        return self.config.name

    @property
    def serving(self) -> bool:
        """Whether it takes tasks."""
        return self.health.state == "serving"

    def may_serve(self, model: str | None) -> bool:
        """Whether it serves the model, now or once it is back; one that isn't known yet it can always try."""
        return not model or self.description is None or model in self.description.costs

    def send(self, message: TaskMessage, blobs: Mapping[str, bytes | memoryview]) -> None:
        """Hands it a task."""
        self.running.add(message.id)
        self.utilisation.at_work(self._now())
        if self._writer is not None:
            self._writer.writelines([wire.encode(message), *blobs.values()])

    def abandon(self, task_id: int) -> None:
        """Has it stop that task at its next step; it replies either way."""
        if task_id in self.running and self._writer is not None:
            self._writer.write(wire.encode(AbandonMessage(task_id)))

    async def configure(self, order: ConfigureMessage) -> None:
        """Has it serve other packages. Raises PackageError where it refuses one, and DeviceFault where it fails."""
        if self._writer is None:
            raise DeviceFault(f"{self.name} is not in service", kind=FaultKind.LOST)
        answer = self._orders[order.id] = asyncio.get_running_loop().create_future()
        self._writer.write(wire.encode(order))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.description = await answer
        except TimeoutError:
            self.end(FaultKind.HUNG, f"other packages were not served within {START_TIMEOUT_S:g} s", blame_input=False)
            raise DeviceFault(f"{self.name} hung over the packages", kind=FaultKind.HUNG) from None
        finally:
            del self._orders[order.id]

    def end(self, kind: FaultKind, message: str, *, blame_input: bool) -> None:
        """Kills the process; it is started again."""
        self._cause = self._cause or _Cause(kind, message, blame_input)
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def done(self, task_id: int) -> None:
        """It has no more to do with that task."""
        self.running.discard(task_id)
        if not self.running:
            self.utilisation.idle(self._now())

    def state(self, resident: str) -> DeviceState:
        """For status pages."""
        now = self._now()
        health, described = self.health, self.description
        temperature_c = self._beat.temperature_c if self.serving else None
        return DeviceState(
            name=self.name, backend=self.config.backend, state=health.state,
            description=described.device if described else "", accelerator=self.config.accelerator,
            simulated=self.config.backend == "simulated", slots=self.config.slots, running=min(len(self.running), self.config.slots),
            answers=self.answers, utilisation=round(self.utilisation.share(now), 3), resident=resident,
            models=sorted(described.costs) if described else [],
            temperature_c=temperature_c, temperature=_temperature(self.config, temperature_c),
            restarts=max(0, self.starts - 1), faults={kind.value: count for kind, count in health.faults.items()},
            fault=health.fault.value if health.fault else "", last_cause=health.last_cause,
            retry_in_s=round(max(0.0, health.retry_at - now), 1) if health.state == "faulty" else 0.0,
            out_for_s=round(now - health.out_since, 1) if health.out_since is not None else 0.0,
        )

    async def supervise(self) -> None:
        """Keeps a process running until cancelled."""
        while True:
            served = await self.packages()
            self.health.starting()
            reader, process = await self._spawn(served)
            try:
                await self._serve(reader)
            finally:
                status = await self._reap(process)
            cause = self._cause or _Cause(FaultKind.CRASHED, f"its process ended with exit status {status}", True)
            self._cause = None
            pause_s = self.health.failed(self._now(), cause.kind, cause.message)
            logger.warning("device %s is out of service (%s): %s; it is tried again in %.1f s",
                           self.name, cause.kind, cause.message, pause_s)
            for order in self._orders.values():
                if not order.done():
                    order.set_exception(DeviceFault(f"{self.name} failed: {cause.message}", kind=cause.kind))
            self.owner.device_lost(self, blame_input=cause.blame_input)
            self.running.clear()
            self.utilisation.idle(self._now())
            await asyncio.sleep(pause_s)

    async def _spawn(self, served: Served) -> tuple[asyncio.StreamReader, asyncio.subprocess.Process]:
        ours, theirs = socket.socketpair()
        settings = {
            "socket_fd": theirs.fileno(), "backend": self.config.backend, "slots": self.config.slots,
            "packages": served.packages, "candidates": served.candidates, "verdicts": served.verdicts,
            "limits": dict(self.process_config.limits),
            "address": self.config.address, "faults_file": self.config.faults_file,
            "after": self.health.fault.value if self.health.fault else "",
        }
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", self.process_config.worker_module,
                    msgspec.json.encode(settings).decode(),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C at a terminal is for us: what runs is finished first
                    env={
                        **os.environ,
                        **keeping_buffers(KEPT_BYTES),
                        "OPENCV_LOG_LEVEL": "OFF",  # it would write to our log what it finds in a broken file
                    },
                )
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        self._process = process
        self.starts += 1
        return reader, process

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        """Reads the process's frames until it is gone."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                message, _ = await _read_frame(reader)
            self._begin(message)
            while True:
                async with asyncio.timeout(SILENCE_S if self.config.accelerator else None):
                    message, pictures = await _read_frame(reader)
                self._take(message, pictures)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process is gone: _reap learns how it ended
        except TimeoutError:
            self.end(FaultKind.HUNG, f"silent for {SILENCE_S if self.serving else START_TIMEOUT_S:g} s", blame_input=False)
        except (msgspec.MsgspecError, TypeError):
            self.end(FaultKind.CRASHED, "its process broke the protocol", blame_input=True)

    def _begin(self, message: wire.Message) -> None:
        if isinstance(message, FaultMessage):
            self._cause = _Cause(FaultKind(message.kind), message.message, blame_input=False)
            return
        if not isinstance(message, ReadyMessage):
            raise TypeError(f"a worker first says that it is ready, not {type(message).__name__}")
        slow = self._slow({name: cost.run_s for name, cost in message.costs.items()})
        if slow:
            self.end(FaultKind.SLOW, slow, blame_input=False)
            return
        for name, cost in message.costs.items():
            self._best_s[name] = min(cost.run_s, self._best_s.get(name, cost.run_s))
        if self.health.out_since is not None:
            logger.warning("device %s is back in service after %.1f s", self.name, self._now() - self.health.out_since)
        self.description = message
        self.health.ready(self._now())
        self.owner.device_ready(self)

    def _take(self, message: wire.Message, pictures: Mapping[str, bytes]) -> None:
        if isinstance(message, ReplyMessage):
            self.answers += not message.needs_model and not message.abandoned
            self.owner.device_replied(self, message, pictures)
        elif isinstance(message, BeatMessage):
            self._beat = message
            if message.invoking_s > self.process_config.device_limit_s:
                self.end(FaultKind.HUNG, "an invocation did not come back within "
                         f"{self.process_config.device_limit_s:g} s", blame_input=False)
            elif self.serving and (slow := self._slow(message.run_s)):
                self.end(FaultKind.SLOW, slow, blame_input=False)
            else:
                self.owner.device_beat()
        elif isinstance(message, FaultMessage):
            self._cause = _Cause(FaultKind(message.kind), message.message, blame_input=False)
        elif isinstance(message, ConfiguredMessage):
            self._configured(message)
        else:
            raise TypeError(f"a worker doesn't say {type(message).__name__}")

    def _configured(self, message: ConfiguredMessage) -> None:
        order = self._orders.get(message.id)
        if order is None or order.done():
            return
        if message.error is not None:
            order.set_exception(wire.error_from_wire(message.error))
        elif message.ready is not None:
            order.set_result(message.ready)

    def _slow(self, run_s: Mapping[str, float]) -> str:
        """What is slow, in words; empty where nothing is. Only accelerators are judged: a CPU has nothing below it."""
        for name, seconds in run_s.items() if self.config.accelerator else ():
            best = self._best_s.get(name)
            if best and seconds > SLOW_FACTOR * best and seconds - best > SLOW_AT_LEAST_S:
                return f"{name} takes {seconds * 1000:.1f} ms an invocation, {best * 1000:.1f} at its best"
        return ""

    async def _reap(self, process: asyncio.subprocess.Process) -> int:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        try:
            return await asyncio.wait_for(process.wait(), END_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            return await process.wait()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _temperature(config: DeviceConfig, temperature_c: float | None) -> str:
    """A temperature in words: the number, or why there is none."""
    if temperature_c is not None:
        return f"{temperature_c:.0f} °C" + (" (modelled)" if config.backend == "simulated" else "")
    if not config.accelerator:
        return ""
    return "no reading" if "pci" in config.address else "no sensor"


async def _read_frame(reader: asyncio.StreamReader) -> tuple[wire.Message, dict[str, bytes]]:
    (length,) = wire.PREFIX.unpack(await reader.readexactly(wire.PREFIX.size))
    if length > wire.MAX_HEADER_BYTES:
        raise ConnectionError(f"a header of {length} bytes")
    message = wire.decode(await reader.readexactly(length))
    return message, {name: await reader.readexactly(size) for name, size in wire.blob_sizes(message).items()}
