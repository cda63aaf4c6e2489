"""A worker process whose tasks fail on command: it speaks the real protocol, but has no model.

A task's parameter `do` says what happens: `echo`, `sleep` (`seconds`), `crash`, `hang`, `crash_first` (only while the
file `mark` isn't there), `unforeseen`.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_runtime.wire import ReadyMessage, ReplyMessage, TaskMessage
from edge_runtime.worker import TaskRunner, WorkerConfig, main


class FaultyRunner(TaskRunner):
    """Does what the task says."""

    def run(self, task: TaskMessage, blobs: Mapping[str, memoryview]) -> tuple[ReplyMessage, dict[str, bytes]]:
        do = task.parameters["do"]
        if do == "sleep":
            time.sleep(task.parameters["seconds"])
        elif do == "hang":
            time.sleep(1000)
        elif do == "unforeseen":
            raise RuntimeError("DOE^JANE")
        elif do == "crash" or (do == "crash_first" and not Path(task.parameters["mark"]).exists()):
            if do == "crash_first":
                Path(task.parameters["mark"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        document = {"pid": os.getpid(), "bytes": len(blobs["input"]), "at": time.monotonic()}
        return ReplyMessage(task.id, document=document, blobs={"echo": len(blobs["input"])}), {
            "echo": bytes(blobs["input"])
        }


def set_up(config: WorkerConfig) -> tuple[ReadyMessage, Sequence[TaskRunner]]:
    """As many runners as slots; no model."""
    return ReadyMessage("fake", [], []), [FaultyRunner() for _ in range(config.slots)]


if __name__ == "__main__":
    main(set_up)
