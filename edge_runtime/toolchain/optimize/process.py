"""Runs a job in a process of its own, and makes a reason of whatever way that process ends. No TensorFlow here."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_runtime.toolchain.optimize.job import END, Job, Message, NotMade, Said

WORKER = "edge_runtime.toolchain.optimize.worker"
_ENVIRONMENT = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": "0"}


def run_job(job: Job, log: Path, say: Callable[[str], None], *, module: str = WORKER) -> Message:
    """The last message of the job's process; `say` is told its lines, and `log` is written with what its libraries print.

    The log is kept where the process ended without a last message, which becomes a NotMade that names it. The process is
    ended with whoever leaves this function early, and its temporary files go in any case.
    """
    words = [sys.executable, "-P", "-m", module, msgspec.json.encode(job).decode()]
    last: Message | None = None
    with (
        tempfile.TemporaryDirectory() as scratch, log.open("wb") as errors,
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                         env={**os.environ, **_ENVIRONMENT, "TMPDIR": scratch}) as process,
    ):
        try:
            for line in process.stdout or ():
                message = msgspec.json.decode(line, type=Message)
                if isinstance(message, Said):
                    say(message.line)
                elif isinstance(message, END):
                    last = message
        except BaseException:
            process.kill()
            log.unlink()
            raise
    if last is None:
        return NotMade(_how_it_ended(process.returncode, log))
    log.unlink()
    return last


def _how_it_ended(code: int, log: Path) -> str:
    where = f"; what it said is in {log}"
    if code == -signal.SIGKILL:
        return f"its process was killed (SIGKILL), as is done where the memory of the machine isn't enough{where}"
    if code < 0:
        return f"its process crashed ({signal.Signals(-code).name}){where}"
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return f"its process failed: {lines[-1][:300]}{where}" if lines else f"its process ended with {code}"
