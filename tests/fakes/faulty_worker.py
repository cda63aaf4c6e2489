"""A worker process whose tasks and device fail on command: it speaks the real protocol, but has no model.

A task's parameter `do` says what happens: `echo`, `sleep` (`seconds`), `steps` (so many, of 0.05 s each, each noted in the file
`mark`), `crash`, `hang`, `crash_first` (only while the file `mark` isn't there), `unforeseen`, `elsewhere` (this device has
no variant of the model `other`), `device_lost`.

With the backend `fake_tpu` it is an accelerator, and the words in its faults file say what the device does: `absent` (can't
be opened), `hung` (an invocation never comes back), `slow` (an invocation takes a second), `wrong` (the known answer
doesn't come out), `silent` (no beat any more).
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from edge_runtime.abandonment import Proceed
from edge_runtime.errors import DeviceFault, FaultKind, PackageError
from edge_runtime.wire import (
    BeatMessage,
    ConfigureMessage,
    DomainDescription,
    ModelCost,
    ModelInfo,
    ReadyMessage,
    ReplyMessage,
    TaskMessage,
)
from edge_runtime.worker import Engine, TaskRunner, WorkerConfig, main

MODELS = ("one", "other")


class FaultyRunner(TaskRunner):
    """Does what the task says."""

    def __init__(self, config: WorkerConfig) -> None:
        self._tpu = config.backend == "fake_tpu"

    def run(
        self, task: TaskMessage, blobs: Mapping[str, memoryview], proceed: Proceed
    ) -> tuple[ReplyMessage, dict[str, bytes]]:
        do = task.parameters["do"]
        if do == "elsewhere" and self._tpu:
            return ReplyMessage(task.id, needs_model="other"), {}
        if do == "nowhere":
            return ReplyMessage(task.id, needs_model="missing"), {}
        if do == "device_lost" and self._tpu:
            raise DeviceFault("it was unplugged", kind=FaultKind.LOST)
        if do == "sleep":
            time.sleep(task.parameters["seconds"])
        elif do == "steps":
            _step(task.parameters["steps"], Path(task.parameters["mark"]), proceed)
        elif do == "hang":
            time.sleep(1000)
        elif do == "unforeseen":
            raise RuntimeError("DOE^JANE")
        elif do == "crash" or (do == "crash_first" and not Path(task.parameters["mark"]).exists()):
            if do == "crash_first":
                Path(task.parameters["mark"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        document = {"pid": os.getpid(), "bytes": len(blobs["input"]), "at": time.monotonic(), "track": task.track}
        return ReplyMessage(task.id, document=document, blobs={"echo": len(blobs["input"])}), {
            "echo": bytes(blobs["input"])
        }


def _step(steps: int, mark: Path, proceed: Proceed) -> None:
    for _ in range(steps):
        proceed()
        with mark.open("a") as noted:
            noted.write(".")
        time.sleep(0.05)


class FaultyEngine(Engine):
    """As many runners as slots; no model. A package folder whose name holds "bad" is refused, "deadly" ends the process."""

    def __init__(self, config: WorkerConfig) -> None:
        self._tpu = config.backend == "fake_tpu"
        self._faults = Path(config.faults_file) if config.faults_file else None
        if self._fault() == "absent":
            raise DeviceFault("no such device is attached", kind=FaultKind.ABSENT)
        if self._fault() == "wrong":
            raise DeviceFault("the known answer of one doesn't come out", kind=FaultKind.WRONG_ANSWER)
        self._packages = config.packages
        self.runners = [FaultyRunner(config) for _ in range(config.slots)]

    def ready(self) -> ReadyMessage:
        slow = 1.0 if self._fault() == "slow" else 0.001
        costs = {"one": ModelCost(slow / (5 if self._tpu else 1))}
        if not self._tpu:
            costs["other"] = ModelCost(slow)
        models = [ModelInfo(Path(folder).name, "ready") for folder in self._packages]
        return ReadyMessage(
            "fake TPU" if self._tpu else "fake CPU", models, [DomainDescription("any", "t", [], ["one", "other"])], costs,
            accelerator=self._tpu, simulated=self._tpu, trusted=self._packages,
        )

    def configure(self, wanted: ConfigureMessage) -> ReadyMessage:
        names = [Path(folder).name for folder in (*wanted.packages, *wanted.candidates)]
        if any("bad" in name for name in names):
            raise PackageError("model package bad: it is bad")
        if any("deadly" in name for name in names):
            os.kill(os.getpid(), signal.SIGKILL)
        self._packages = wanted.packages
        return self.ready()

    def beat(self) -> BeatMessage:
        if self._fault() == "silent":
            time.sleep(1000)
        slow = self._fault() == "slow"
        return BeatMessage(1000.0 if self._fault() == "hung" else 0.0, {"one": 1.0 if slow else 0.0002}, 45.0)

    def check(self) -> None:
        if self._fault() == "wrong":
            raise DeviceFault("the known answer of one doesn't come out", kind=FaultKind.WRONG_ANSWER)

    def _fault(self) -> str:
        return self._faults.read_text() if self._faults and self._faults.exists() else ""


if __name__ == "__main__":
    main(FaultyEngine)
