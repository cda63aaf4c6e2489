"""The process that owns one device: it takes tasks from its supervisor and answers them.

Started as `python -m edge_runtime.engine`, with a socket to the supervisor and its settings as JSON. It sets up an engine
(engine.py: the models on the device), says that it is ready, and answers tasks in as many threads as it has slots: decode
and invoke release the GIL. A task that nobody waits for any more ends at its next step (abandonment.py). A device that fails ends the process, after a word to the supervisor about why. It also ends
when the socket closes, so it never outlives its supervisor.
"""

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

import msgspec

from edge_runtime import wire
from edge_runtime.abandonment import Abandoned, Proceed
from edge_runtime.errors import DeviceFault, TaskFailed
from edge_runtime.memory import give_back_for_ever
from edge_runtime.signatures import Verdict
from edge_runtime.thread_priority import yield_to_short_work
from edge_runtime.wire import (
    AbandonMessage,
    BeatMessage,
    ConfiguredMessage,
    ConfigureMessage,
    FaultMessage,
    ReadyMessage,
    ReplyMessage,
    TaskMessage,
)

logger = logging.getLogger(__name__)

BEAT_EVERY_S = 0.2
CHECK_EVERY_S = 1.0
"""How often an accelerator is asked for a known answer, idle or not: so long it may be gone or compute wrongly unnoticed."""
CHECK_SHARE = 0.05
"""The most of an accelerator's time that goes into that: a slow one is asked less often."""


class WorkerConfig(msgspec.Struct, frozen=True):
    """What the supervisor tells a worker when it starts it."""

    socket_fd: int
    backend: str
    slots: int
    packages: list[str]
    limits: dict[str, int]
    address: str = ""
    faults_file: str = ""
    candidates: list[str] = []
    verdicts: dict[str, Verdict] | None = None
    """On the packages' signatures, by folder; None where none is asked for."""
    after: str = ""
    """The FaultKind for which the device was out of service before this start."""


class TaskRunner(ABC):
    """What one thread of a worker does with a task."""

    @abstractmethod
    def run(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        """The reply and its pictures. Asks `proceed` between steps, and lets through what that raises. Raises DomainError or
        EdgeError, whose message goes back to the caller, and DeviceFault where the device failed: then the task is run
        elsewhere.
        """


class Engine(ABC):
    """The models on one device."""

    runners: Sequence[TaskRunner]
    """One for each slot."""

    @abstractmethod
    def ready(self) -> ReadyMessage:
        """What is served."""

    @abstractmethod
    def configure(self, wanted: ConfigureMessage) -> ReadyMessage:
        """Serves other packages. Raises PackageError, and changes nothing, where a new one can't be trusted."""

    @abstractmethod
    def beat(self) -> BeatMessage:
        """How the device does."""

    @abstractmethod
    def check(self) -> None:
        """Asks the device for the known answer of the model that it ran last. Raises DeviceFault."""


SetUp = Callable[[WorkerConfig], Engine]


class _Given:
    """A task of this process, from its arrival to its reply."""

    def __init__(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> None:
        self.task = task
        self.blobs = blobs
        self.abandoned = False

    def proceed(self) -> None:
        if self.abandoned:
            raise Abandoned


class WorkerProcess:
    """The socket loop and the threads."""

    def __init__(self, config: WorkerConfig, set_up: SetUp) -> None:
        self._set_up = set_up
        self._socket = socket.socket(fileno=config.socket_fd)
        self._config = config
        self._tasks: queue.SimpleQueue[_Given] = queue.SimpleQueue()
        self._given: dict[int, _Given] = {}
        self._orders: queue.SimpleQueue[ConfigureMessage] = queue.SimpleQueue()
        self._send_lock = threading.Lock()

    def run(self) -> None:
        """Serves until the supervisor closes the socket."""
        try:
            engine = self._set_up(self._config)
        except DeviceFault as fault:
            self._give_up(fault)
        ready = engine.ready()
        for runner in engine.runners:
            self._in_thread(self._answer, runner, ready.accelerator)
        self._in_thread(self._configure, engine)
        self._in_thread(give_back_for_ever)
        if ready.accelerator:
            self._in_thread(self._beat, engine)
            self._in_thread(self._check, engine)
        self._send(ready, {})
        while (frame := self._receive()) is not None:
            message, blobs = frame
            if isinstance(message, ConfigureMessage):
                self._orders.put(message)
            elif isinstance(message, AbandonMessage):
                if (given := self._given.get(message.id)) is not None:
                    given.abandoned = True
            else:
                given = self._given[message.id] = _Given(message, blobs)
                self._tasks.put(given)

    def _answer(self, runner: TaskRunner, accelerator: bool) -> None:
        if not accelerator:  # who waits for an accelerator is short work itself
            yield_to_short_work()
        while True:
            given = self._tasks.get()
            task = given.task
            try:
                given.proceed()
                reply, pictures = runner.run(task, given.blobs, given.proceed)
            except Abandoned:
                reply, pictures = ReplyMessage(task.id, abandoned=True), {}
            except DeviceFault as fault:
                self._give_up(fault)
            except Exception as error:
                wired = wire.error_to_wire(error)
                if wired.kind == TaskFailed.__name__:
                    logger.error("task failed: %s\n%s", type(error).__name__, _frames(error))
                reply, pictures = ReplyMessage(task.id, error=wired), {}
            del self._given[task.id], given
            self._send(reply, pictures)

    def _configure(self, engine: Engine) -> None:
        while True:
            order = self._orders.get()
            try:
                done = ConfiguredMessage(order.id, ready=engine.configure(order))
            except DeviceFault as fault:
                self._give_up(fault)
            except Exception as error:
                wired = wire.error_to_wire(error)
                if wired.kind == TaskFailed.__name__:
                    logger.error("configuring failed: %s\n%s", type(error).__name__, _frames(error))
                done = ConfiguredMessage(order.id, error=wired)
            self._send(done, {})

    def _beat(self, engine: Engine) -> None:
        while True:
            time.sleep(BEAT_EVERY_S)
            self._send(engine.beat(), {})

    def _check(self, engine: Engine) -> None:
        pause_s = CHECK_EVERY_S
        while True:
            time.sleep(pause_s)
            began = time.monotonic()
            try:
                engine.check()
            except DeviceFault as fault:
                self._give_up(fault)
            pause_s = max(CHECK_EVERY_S, (time.monotonic() - began) / CHECK_SHARE)

    def _give_up(self, fault: DeviceFault) -> None:
        """Tells the supervisor and ends the process: whatever else it holds is run elsewhere."""
        self._send(FaultMessage(fault.kind, str(fault)), {})
        os._exit(0)

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=self._guarded, args=(work, *arguments), daemon=True).start()

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        """A thread that can't go on ends the process: half a worker would hold tasks for ever."""
        try:
            work(*arguments)
        except Exception as error:
            logger.error("worker failed: %s\n%s", type(error).__name__, _frames(error))
            os._exit(1)

    def _send(self, message: wire.Message, pictures: Mapping[str, bytes]) -> None:
        with self._send_lock:
            self._socket.sendall(b"".join((wire.encode(message), *pictures.values())))

    def _receive(self) -> tuple[TaskMessage | AbandonMessage | ConfigureMessage, dict[str, memoryview]] | None:
        prefix = self._read(wire.PREFIX.size)
        if prefix is None:
            return None
        header = self._read(*wire.PREFIX.unpack(prefix))
        message = wire.decode(bytes(header or b""))
        if not isinstance(message, TaskMessage | AbandonMessage | ConfigureMessage):
            raise TypeError(f"a worker takes tasks and orders, not {type(message).__name__}")
        blobs = {name: self._read(size) for name, size in wire.blob_sizes(message).items()}
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


def main(set_up: SetUp) -> None:
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
