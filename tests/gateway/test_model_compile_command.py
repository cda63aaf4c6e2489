"""`hedgerow model compile` and `inspect` as a user starts them, beside a stand-in for Google's compiler or without one."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.models import load_package
from tests.edge_runtime.toolchain.edgetpu.compiled_models import (
    COMPILED,
    contents,
    write_compiled,
    write_int8_package,
)
from tests.edge_runtime.toolchain.edgetpu.fake_compiler import MAPPED, WHOLE, FakeCompiler, compile_log
from tests.gateway_process import HEDGEROW, ROOT


def model(*words: object, environment: dict[str, str] | None = None, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command. Without an `environment` there is no compiler on the PATH."""
    return subprocess.run(
        [str(HEDGEROW), "model", *map(str, words)], capture_output=True, text=True, check=False, cwd=folder,
        env=environment or {**os.environ, "PATH": "/usr/bin:/bin"},
    )


@pytest.fixture
def fake(tmp_path: Path) -> FakeCompiler:
    return FakeCompiler(tmp_path / "bin")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_int8_package(tmp_path / "models")


def prepared(fake: FakeCompiler, package: Path, log: str = WHOLE, **made: Any) -> None:
    fake.plan(log, {"tiny_edgetpu.tflite": write_compiled(package / "int8.tflite", fake.program.parent / "made.tflite", **made)})


def test_a_package_is_compiled_and_the_user_reads_what_became_of_it(fake: FakeCompiler, package: Path) -> None:
    prepared(fake, package)
    done = model("compile", package, environment=fake.environment)
    assert done.returncode == 0, done.stderr
    assert "compiling tiny.tflite, 180 s at most" in done.stderr
    assert "2 operators, all on the Edge TPU" in done.stdout
    assert "192 bytes of parameters cached, 0 streamed with every run; 7.98 MiB of the TPU's memory left" in done.stdout
    assert "runtime 13 or later, chip beagle, compiler 16.0.384591198" in done.stdout
    assert f"{package}/int8_edgetpu.tflite: the variant int8_edgetpu of tiny" in done.stdout
    assert "check" not in done.stdout
    assert "int8_edgetpu" in load_package(package).manifest.variants
    inspected = model("inspect", package)
    assert inspected.returncode == 0, inspected.stderr
    assert "int8_edgetpu.tflite" in inspected.stdout


def test_where_check_was_wrong_the_user_is_asked_to_report_it(fake: FakeCompiler, package: Path) -> None:
    prepared(fake, package, compile_log("tiny", {("LOGISTIC", MAPPED): 1, ("TANH", "Operation not supported"): 1}), kept=["TANH"])
    done = model("compile", package, environment=fake.environment)
    assert "1 left on the CPU: TANH" in done.stdout
    assert "`hedgerow model check` predicts otherwise; please report it" in done.stdout
    assert "TANH: check maps 1 of 1, the compiler mapped 0 (Operation not supported)" in done.stdout


def test_a_program_can_read_the_outcome(fake: FakeCompiler, package: Path) -> None:
    prepared(fake, package)
    done = model("compile", package, "--multiple-subgraphs", "--min-runtime-version", 12, "--timeout", 60, "--json", environment=fake.environment)
    (result,) = json.loads(done.stdout)
    assert result["source"] == str(package)
    assert result["report"]["options"] == ["-s", "-a", "-m", "12", "-t", "60"]
    assert result["report"]["cached_bytes"] == 192
    assert result["report"]["log"]["ops"][0] == {"op": "LOGISTIC", "count": 1, "status": MAPPED}


def test_without_the_compiler_the_user_is_told_what_to_run_and_that_works(
    fake: FakeCompiler, package: Path, tmp_path: Path,
) -> None:
    before = contents(package)
    done = model("compile", package)
    assert done.returncode == 1
    assert done.stderr.startswith("hedgerow: edgetpu_compiler is not on the PATH")
    assert "coral.ai/docs/edgetpu/compiler" in done.stderr
    assert contents(package) == before
    copy, there, back = (line.strip() for line in done.stderr.splitlines() if line.startswith("    "))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    prepared(fake, package)
    for line in (copy, there):
        subprocess.run(["/bin/bash", "-c", line], cwd=elsewhere, env=fake.environment, check=True, capture_output=True)
    words = shlex.split(back)
    assert words[:2] == ["hedgerow", "model"]
    taken = model(*words[2:], folder=elsewhere)
    assert taken.returncode == 0, taken.stderr
    assert "int8_edgetpu" in load_package(package).manifest.variants


def test_a_failure_is_one_line_that_says_where_the_log_is(fake: FakeCompiler, package: Path) -> None:
    fake.plan("Edge TPU Compiler version 14.1.317412892\n\nInternal compiler error. Aborting! \n", code=1)
    done = model("compile", package, environment={**fake.environment, "TMPDIR": str(fake.program.parent)})
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("hedgerow: edgetpu_compiler: Internal compiler error. Aborting! (some models fail so by chance: run it once more)")
    kept = Path(line.rpartition("its log is ")[2])
    assert "14.1.317412892" in kept.read_text()


@pytest.mark.parametrize(("words", "told"), [
    (["compile", "{package}", "--compiled", "x"], "--compiled and --log go together"),
    (["compile", "{package}", "--log", "x"], "--compiled and --log go together"),
    (["compile", "{package}", "{package}", "--compiled", "x", "--log", "y"], "so give the one package or file"),
    (["compile", "{package}", "--compiled", "no.tflite", "--log", "{package}/model.toml"], "no.tflite is no TFLite file: there is no such file"),
    (["compile", "{package}", "--compiled", "{plain}", "--log", "no.log"], "no.log: No such file or directory"),
    (["compile", "{plain}", "--compiled", "{plain}", "--log", "{package}/model.toml"], "split_concat.tflite is not compiled for the Edge TPU"),
    (["compile", "{root}/samples/field.jpg"], "field.jpg is no TFLite file: it is a JPEG picture"),
    (["compile", "{root}/samples"], "model package samples: model.toml is missing"),
    (["compile", "nothing"], "nothing is no TFLite file: there is no such file"),
    (["inspect", "{plain}"], "split_concat.tflite is not compiled for the Edge TPU: `hedgerow model check split_concat.tflite` predicts"),
    (["inspect", "{root}/samples/field.jpg"], "field.jpg is no TFLite file: it is a JPEG picture"),
    (["inspect", "{package}"], "tiny: it has no variant int8_edgetpu"),
    (["inspect", "nothing"], "nothing is no TFLite file: there is no such file"),
])
def test_bad_input_is_told_in_one_line(package: Path, words: list[str], told: str) -> None:
    places = {"package": package, "plain": COMPILED / "split_concat.tflite", "root": ROOT}
    done = model(*(word.format(**places) for word in words))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hedgerow: ")
    assert told in done.stderr


def test_a_compiled_model_is_shown_as_a_table_and_as_json() -> None:
    file = COMPILED / "keras_lstm_mnist_ptq_edgetpu.tflite"
    shown = model("inspect", file)
    assert shown.returncode == 0, shown.stderr
    for told in ("beagle", "43,968 bytes", "576 bytes", "64,016 bytes", "PARAMETER_CACHING", "EXECUTION_ONLY", "6cad28922f0b3db3",
                 "serving_default_x:0", "1x28x28", "no operator", "not recorded"):
        assert told in shown.stdout
    told = json.loads(model("inspect", file, "--json").stdout)
    assert (told["chip"], told["runtime_version"], told["cached_bytes"], told["streamed_bytes"]) == ("beagle", 12, 43_968, 576)
    assert [executable["type"] for executable in told["packages"][0]["executables"]] == ["EXECUTION_ONLY", "PARAMETER_CACHING"]
    assert told["inputs"] == [{
        "name": "serving_default_x:0", "dtype": "uint8", "shape": [1, 28, 28], "scales": [0.003921568859368563], "zero_points": [0],
    }]
