"""Runs Google's `edgetpu_compiler`, which is closed and exists for x86-64 Debian alone: https://coral.ai/docs/edgetpu/compiler."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge_runtime.toolchain.edgetpu.compiler_log import advice_on, parse_log

PROGRAM = "edgetpu_compiler"
SUFFIX = "_edgetpu"
"""What the compiler adds to a model's name."""
DEFAULT_TIMEOUT_S = 180
"""The compiler's own, from version 16 on. Older ones know no `-t`, so it is given only where another one is wanted."""
GRACE_S = 5.0
"""How much longer than its time the compiler may take to say that it took too long."""
MAX_LOG_BYTES = 2**24
_POLL_S = 0.1
_SAY_EVERY_S = 2.0
_LOG = "compiler.log"


class CompilerError(ValueError):
    """The compiler made nothing that can be used; the message says why. `log` is what it wrote."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Options(msgspec.Struct, frozen=True):
    """How to compile. `min_runtime_version` 0: the newest that the compiler knows."""

    multiple_subgraphs: bool = False
    min_runtime_version: int = 0
    timeout_s: int = DEFAULT_TIMEOUT_S

    def words(self) -> list[str]:
        """As the compiler takes them. `-s` has it write the table of operators out."""
        return [
            "-s",
            *(["-a"] if self.multiple_subgraphs else []),
            *(["-m", str(self.min_runtime_version)] if self.min_runtime_version else []),
            *(["-t", str(self.timeout_s)] if self.timeout_s != DEFAULT_TIMEOUT_S else []),
        ]


def find_compiler() -> Path | None:
    """The compiler on the PATH."""
    found = shutil.which(PROGRAM)
    return Path(found) if found else None


def command_line(models: Sequence[str], options: Options) -> str:
    """What to type where there is a compiler, keeping its log."""
    return f"{shlex.join([PROGRAM, *options.words(), *models])} 2>&1 | tee {_LOG}"


def compiled_name(model: str) -> str:
    """What the compiler calls the compiled `model`."""
    return f"{Path(model).stem}{SUFFIX}.tflite"


def run_compiler(program: Path, folder: Path, models: Sequence[str], options: Options, say: Callable[[str], None]) -> str:
    """Compiles `models`, files in `folder`, together; the first of them has the first call on the TPU's memory. What comes
    of it lies in `folder` too. Gives the log.

    Raises CompilerError where it can't be started, fails, crashes, hangs or leaves a file out.
    """
    log = folder / _LOG
    words = [str(program), *options.words(), *models]
    say(f"{PROGRAM}: compiling {', '.join(models)}, {options.timeout_s} s at most")
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise CompilerError(f"{program} can't be started: {error.strerror}") from error
        try:
            stopped = _await(process, log, options.timeout_s + GRACE_S, say)
        finally:
            _end(process)
    text = log.read_bytes()[:MAX_LOG_BYTES].decode("utf-8", "replace")
    refusal = stopped or _failure(process.returncode, text)
    if refusal:
        raise CompilerError(refusal, text)
    missing = [model for model in models if not (folder / compiled_name(model)).is_file()]
    if missing:
        raise CompilerError(f"{PROGRAM} ended well, but wrote no {', '.join(map(compiled_name, missing))}", text)
    return text


def _await(process: "subprocess.Popen[bytes]", log: Path, limit_s: float, say: Callable[[str], None]) -> str:
    """Waits for the end; gives why it can't be waited for any longer."""
    began = said = time.monotonic()
    while not _has_ended(process.pid):
        time.sleep(_POLL_S)
        now = time.monotonic()
        if now - began > limit_s:
            return f"{PROGRAM} was stopped: not done after {now - began:.0f} s; --timeout gives it longer"
        if log.stat().st_size > MAX_LOG_BYTES:
            return f"{PROGRAM} was stopped: it wrote over {MAX_LOG_BYTES // 2**20} MiB of log"
        if now - said >= _SAY_EVERY_S:
            said = now
            say(f"{PROGRAM}: compiling, {now - began:.0f} s")
    return ""


def _has_ended(number: int) -> bool:
    """Leaves the process unreaped, so that its number still means its group and no other."""
    return os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the compiler and every process that it started: it compiles in a child of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failure(code: int, log: str) -> str:
    """Why the run was none; "" where it was one."""
    error = parse_log(log).error
    if error:
        advice = advice_on(error)
        return f"{PROGRAM}: {error}" + (f" ({advice})" if advice else "")
    if code == 0:
        return ""
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it wrote nothing")
    how = f"crashed with {_signal(-code)}" if code < 0 else f"ended with {code}"
    return f"{PROGRAM} {how}: {last[:200]}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
