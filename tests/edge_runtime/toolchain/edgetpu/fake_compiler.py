"""A stand-in for `edgetpu_compiler`: takes the options that are documented, writes a prepared log and prepared files.

https://coral.ai/docs/edgetpu/compiler. It compiles nothing.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_runtime.toolchain.edgetpu.compile_models import compile_sources, read_sources
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport
from edge_runtime.toolchain.edgetpu.compiler import Options
from tests.edge_runtime.toolchain.edgetpu.compiled_models import write_compiled

MAPPED = "Mapped to Edge TPU"
_PROGRAM = """#!{python}
import argparse, json, os, shutil, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-s", "--show_operations", action="store_true")
parser.add_argument("-a", "--enable_multiple_subgraphs", action="store_true")
parser.add_argument("-o", "--out_dir", default=".")
parser.add_argument("-m", "--min_runtime_version", type=int)
parser.add_argument("-t", "--timeout_sec", type=int)
parser.add_argument("models", nargs="+")
asked = parser.parse_args()
plan = json.loads(Path({plan!r}).read_text())
Path({calls!r}).write_text(json.dumps(sys.argv[1:]))
for model in asked.models:
    assert Path(model).is_file(), model
sys.stdout.write(plan["log"])
sys.stderr.write(plan["errors"])
sys.stdout.flush()
if plan["child_sleeps"]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path({child!r}).write_text(str(child.pid))
for _ in range(64 if plan["floods"] else 0):
    sys.stdout.write("x" * 2**20)
time.sleep(plan["sleeps"])
for name, file in plan["writes"].items():
    shutil.copyfile(file, Path(asked.out_dir) / name)
if plan["signal"]:
    os.kill(os.getpid(), plan["signal"])
sys.exit(plan["code"])
"""


class FakeCompiler:
    """`edgetpu_compiler` in a folder of its own; `environment` has that first on the PATH."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.program = folder / "edgetpu_compiler"
        self.program.write_text(_PROGRAM.format(
            python=sys.executable, plan=str(folder / "plan.json"), calls=str(folder / "calls.json"), child=str(folder / "child"),
        ))
        self.program.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def plan(self, log: str = "", writes: Mapping[str, Path] | None = None, *, errors: str = "", code: int = 0, signal: int = 0,
             sleeps: float = 0, child_sleeps: bool = False, floods: bool = False) -> None:
        """What it does when it is called. `writes`: files to copy, by the name that they get."""
        (self._folder / "plan.json").write_text(json.dumps({
            "log": log, "writes": {name: str(path) for name, path in (writes or {}).items()}, "errors": errors, "code": code,
            "signal": signal, "sleeps": sleeps, "child_sleeps": child_sleeps, "floods": floods,
        }))

    @property
    def call(self) -> Sequence[str]:
        """The words of the last call."""
        words: list[str] = json.loads((self._folder / "calls.json").read_text())
        return words

    @property
    def child(self) -> int:
        """The process that it started."""
        return int((self._folder / "child").read_text())


def compile_log(model: str, table: Mapping[tuple[str, str], int], *, version: str = "16.0.384591198") -> str:
    """A log of the form of version 16 for one model; `table`: how many operators of a kind met which fate."""
    total = sum(table.values())
    mapped = sum(count for (_, status), count in table.items() if status == MAPPED)
    partial = "" if mapped == total else (
        f"\nNumber of operations that will run on Edge TPU: {mapped}\nNumber of operations that will run on CPU: {total - mapped}\n"
    )
    rows = "\n".join(f"{op:<31}{count:<11}{status}" for (op, status), count in table.items())
    return (
        f"Edge TPU Compiler version {version}\nStarted a compilation timeout timer of 180 seconds.\n\n"
        f"Model compiled successfully in 141 ms.\n\nInput model: {model}.tflite\nInput size: 12.50KiB\n"
        f"Output model: {model}_edgetpu.tflite\nOutput size: 56.69KiB\n"
        "On-chip memory used for caching model parameters: 192.00B\n"
        "On-chip memory remaining for caching model parameters: 7.98MiB\n"
        "Off-chip memory used for streaming uncached model parameters: 0.00B\n"
        f"Number of Edge TPU subgraphs: 1\nTotal number of operations: {total}\nOperation log: {model}_edgetpu.log\n{partial}\n"
        f"Operator                       Count      Status\n\n{rows}\n"
        "Compilation child process completed within timeout period.\nCompilation succeeded! \n"
    )


WHOLE = compile_log("tiny", {("LOGISTIC", MAPPED): 1, ("TANH", MAPPED): 1})
"""Of the model of `write_int8`, mapped whole."""


def compiled(fake: FakeCompiler, package: Path, *, log: str = "", out: Path | None = None, options: Options | None = None,
             **made: Any) -> CompileReport:
    """Compiles a package of `write_int8_package` with a fake that makes of it what `made`, for `write_compiled`, says."""
    file = write_compiled(package / "int8.tflite", fake.program.parent / "made.tflite", **made)
    fake.plan(log or WHOLE, {"tiny_edgetpu.tflite": file})
    (result,) = compile_sources(read_sources([package]), fake.program, options or Options(), out, quiet)
    return result.report


def quiet(_: str) -> None:
    """Says nothing."""


def ended(number: int) -> bool:
    """Whether a process is gone, or dead and waiting for whoever adopted it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            os.kill(number, 0)
        except (OSError, IndexError):
            return True
        time.sleep(0.05)
    return False
