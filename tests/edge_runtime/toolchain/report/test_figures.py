"""What single figures of a report mean: speed, memory, machine, and the sentences on them."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from domains.core import InputSpec
from edge_runtime.toolchain.report import notes
from edge_runtime.toolchain.report.latency import TURN, others, race, summarise
from edge_runtime.toolchain.report.machine import machine
from edge_runtime.toolchain.report.memory import peak_bytes
from tests.edge_runtime.toolchain.report.linear_models import Output, linear
from tests.edge_runtime.toolchain.report.made_reports import report, row

SPEC = InputSpec(64, 64, 127.0, 128.0, channels=1)


def test_speed_is_that_within_the_rounds_whatever_else_the_machine_did() -> None:
    ever_slower = {"float32": [[10.0] * TURN, [20.0] * TURN, [40.0] * TURN], "int8": [[5.0] * TURN, [40.0] * TURN, [20.0] * TURN]}
    found = summarise(ever_slower)
    assert found["float32"].speed == 1.0
    assert found["int8"].speed == 2.0, "of all runs, both medians are 20 ms"
    assert (found["int8"].q1_ms, found["int8"].median_ms, found["int8"].q3_ms) == (5.0, 20.0, 40.0)


def test_a_larger_network_takes_longer_and_more_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = {
        name: linear(tmp_path / f"{name}.tflite", (64, 64, 1), [Output("logits", random.normal(size=(labels, 4096)).astype("f"))])
        for name, labels in (("float32", 2), ("large", 1000))
    }
    times = race(files, SPEC, 20, print)
    assert times["large"].median_ms > 3 * times["float32"].median_ms
    assert times["large"].speed < 0.5
    small, large = (peak_bytes(path, SPEC) for path in files.values())
    assert small is not None
    assert large is not None
    assert large - small > 0.8 * 4 * 4096 * 1000
    assert small < 20e6, "the interpreter's own memory isn't counted"


def test_a_file_that_breaks_its_process_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"\0\0\0\0TFL3")
    with pytest.raises(ValueError, match=r"broken.tflite can't be run in a process of its own"):
        peak_bytes(tmp_path / "broken.tflite", SPEC)


def test_instructions_that_decide_on_int8_are_named(tmp_path: Path) -> None:
    (tmp_path / "intel").write_text("processor : 0\nmodel name\t: Some Xeon\nflags\t\t: fpu sse4_1 avx2 avx512_vnni amx_int8\n")
    found = machine(tmp_path / "intel")
    assert (found.cpu, found.flags) == ("Some Xeon", ["sse4_1", "avx2", "avx512_vnni", "amx_int8"])
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd asimddp\n\nModel\t\t: Raspberry Pi 5 Model B\n")
    found = machine(tmp_path / "arm")
    assert (found.cpu, found.flags) == ("Raspberry Pi 5 Model B", ["asimd", "asimddp"])
    assert machine(tmp_path / "nothing").flags == []


def test_why_int8_is_slow_is_said_of_the_cpu_at_hand() -> None:
    rows = row("float32"), row("int8", speed=0.85)
    slow, why = notes.of(report(*rows))
    assert slow == "int8 is 0.85 times as fast as float32 here, not 1.8."
    assert why.startswith("The CPU has AVX2, but no instruction")
    _, why = notes.of(report(*rows, flags=["avx2", "avx512_vnni"]))
    assert "does have instructions for int8 (avx512_vnni)" in why
    assert not list(notes.of(report(row("float32"), row("int8", speed=2.4))))


def test_what_other_processes_take_is_counted() -> None:
    before = others()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    after = others()
    assert before is not None
    assert after is not None
    assert after - before > 0.4


def test_what_this_process_takes_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = others()
    monkeypatch.setattr(time, "process_time", lambda own=time.process_time: own() + 1e6)
    after = others()
    assert before is not None
    assert after is not None
    assert after < before - 1e5


def test_few_groups_and_a_busy_machine_are_owned_up_to() -> None:
    said = list(notes.of(report(row("float32"), cases=24, groups=13, busy_cores=0.8)))
    assert "only 13 groups" in said[0]
    assert "others took 0.8 of 2 cores" in said[1]
    assert not list(notes.of(report(row("float32"), busy_cores=0.4)))
