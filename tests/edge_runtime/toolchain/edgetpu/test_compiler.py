"""Running the compiler. The real one is closed and not here; a stand-in behaves as documented."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import PackageError
from edge_runtime.models import TensorInfo, load_package
from edge_runtime.toolchain.edgetpu import compiler
from edge_runtime.toolchain.edgetpu.compile_models import compile_sources, read_sources
from edge_runtime.toolchain.edgetpu.compiler import CompilerError, Options, run_compiler
from tests.edge_runtime.toolchain.edgetpu.compiled_models import (
    COMPILED,
    INPUT,
    contents,
    write_compiled,
    write_int8,
    write_int8_package,
)
from tests.edge_runtime.toolchain.edgetpu.fake_compiler import WHOLE, FakeCompiler, compiled, ended, quiet


@pytest.fixture
def fake(tmp_path: Path) -> FakeCompiler:
    return FakeCompiler(tmp_path / "bin")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_int8_package(tmp_path / "models")


def test_a_file_is_compiled_to_one_beside_it(fake: FakeCompiler, tmp_path: Path) -> None:
    source = COMPILED / "keras_lstm_mnist_ptq.tflite"
    place = tmp_path / "-my model.tflite"
    place.write_bytes(source.read_bytes())
    log = (Path(__file__).parent / "files" / "logs" / "v16_whole.log").read_text().replace("tiny", "my_model")
    fake.plan(log, {"my_model_edgetpu.tflite": COMPILED / "keras_lstm_mnist_ptq_edgetpu.tflite"})
    (result,) = compile_sources(read_sources([place]), fake.program, Options(), None, quiet)
    assert fake.call == ["-s", "my_model.tflite"]
    assert (result.report.cached_bytes, result.report.streamed_bytes, result.report.ops_total) == (43_968, 576, 6)
    assert (tmp_path / "my_model_edgetpu.tflite").read_bytes() == (COMPILED / "keras_lstm_mnist_ptq_edgetpu.tflite").read_bytes()


def test_every_option_reaches_the_compiler(fake: FakeCompiler, package: Path) -> None:
    report = compiled(fake, package, options=Options(multiple_subgraphs=True, min_runtime_version=12, timeout_s=60))
    assert fake.call == ["-s", "-a", "-m", "12", "-t", "60", "tiny.tflite"]
    assert report.options == ["-s", "-a", "-m", "12", "-t", "60"]


def test_an_old_compiler_is_not_given_the_option_that_it_lacks(fake: FakeCompiler, package: Path) -> None:
    compiled(fake, package)
    assert fake.call == ["-s", "tiny.tflite"]


def test_a_table_that_the_compiler_only_wrote_into_its_file_is_kept(fake: FakeCompiler, package: Path, tmp_path: Path) -> None:
    summary, table = WHOLE[:WHOLE.index("Operator  ")], WHOLE[WHOLE.index("Operator  "):WHOLE.index("Compilation child")]
    (tmp_path / "table").write_text(f"Edge TPU Compiler version 14.1\nInput: tiny.tflite\nOutput: tiny_edgetpu.tflite\n\n{table}")
    fake.plan(summary, {
        "tiny_edgetpu.tflite": write_compiled(package / "int8.tflite", tmp_path / "made.tflite"), "tiny_edgetpu.log": tmp_path / "table",
    })
    (result,) = compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    assert [line.op for line in result.report.log.ops] == ["LOGISTIC", "TANH"]
    assert (result.report.log.on_chip_used_bytes, result.report.milliseconds) == (192, 141)
    assert table in (package / "int8_edgetpu.log").read_text()


def test_several_models_are_compiled_in_one_call_in_the_order_given(fake: FakeCompiler, tmp_path: Path) -> None:
    parent = tmp_path / "bin"
    packages = [write_int8_package(tmp_path / "models", name) for name in ("scan", "field")]
    fake.plan((Path(__file__).parent / "files" / "logs" / "v16_two_models.log").read_text(), {
        f"{package.name}_edgetpu.tflite": write_compiled(package / "int8.tflite", parent / package.name) for package in packages
    })
    results = compile_sources(read_sources(packages), fake.program, Options(), None, quiet)
    assert fake.call == ["-s", "scan.tflite", "field.tflite"]
    assert [result.report.co_compiled_with for result in results] == [["field.tflite"], ["scan.tflite"]]
    assert [result.report.log.off_chip_bytes for result in results] == [0, round(158.06 * 1024)]
    assert all("int8_edgetpu" in load_package(package).manifest.variants for package in packages)


def test_files_of_one_name_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_int8(tmp_path / folder / "int8.tflite")
    sources = read_sources([tmp_path / "a" / "int8.tflite", tmp_path / "b" / "int8.tflite", tmp_path / "a" / "int8.tflite"])
    assert [source.model for source in sources] == ["int8.tflite", "int8_2.tflite", "int8_3.tflite"]


@pytest.mark.parametrize(("plan", "told"), [
    ({"log": "", "code": 3}, "ended with 3: it wrote nothing"),
    ({"log": "Edge TPU Compiler version 16.0\nout of disk\n", "code": 1}, "ended with 1: out of disk"),
    ({"log": "Edge TPU Compiler version 16.0\n", "signal": signal.SIGSEGV}, "crashed with SIGSEGV: Edge TPU Compiler version 16.0"),
    ({"log": WHOLE}, "ended well, but wrote no tiny_edgetpu.tflite"),
    ({"log": "Invalid model: tiny.tflite\nModel not quantized\n", "code": 1}, "Model not quantized (it holds float tensors"),
    ({"errors": "Internal compiler error. Aborting! \n", "code": 1}, "Internal compiler error. Aborting! (some models"),
    ({"log": "Compilation failed!\n"}, "Compilation failed!"),
])
def test_a_compiler_that_fails_is_told_with_its_own_words_and_changes_nothing(
    fake: FakeCompiler, package: Path, plan: dict[str, Any], told: str,
) -> None:
    before = contents(package)
    fake.plan(**plan)
    with pytest.raises(CompilerError) as raised:
        compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    assert told in str(raised.value)
    assert contents(package) == before


def test_a_failure_that_check_did_not_foresee_is_said_to_be_one(fake: FakeCompiler, package: Path, tmp_path: Path) -> None:
    fake.plan("Edge TPU Compiler version 16.0\nModel not quantized\n")
    with pytest.raises(CompilerError, match="didn't foresee this"):
        compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    real = TensorInfo("float32", INPUT.shape)
    foreseen = write_int8(tmp_path / "tiny.tflite", source=real, outputs=(real,))
    with pytest.raises(CompilerError) as raised:
        compile_sources(read_sources([foreseen]), fake.program, Options(), None, quiet)
    assert "foresee" not in str(raised.value)


def test_a_compiler_that_hangs_is_stopped_with_all_that_it_started(fake: FakeCompiler, package: Path) -> None:
    fake.plan("Edge TPU Compiler version 15.0.340273435\n", sleeps=600, child_sleeps=True)
    before, said = contents(package), list[str]()
    began = time.monotonic()
    with pytest.raises(CompilerError, match=r"was stopped: not done after \d+ s; --timeout gives it longer"):
        compile_sources(read_sources([package]), fake.program, Options(timeout_s=1), None, said.append)
    assert time.monotonic() - began < 60
    assert ended(fake.child)
    assert any("compiling, 2 s" in line for line in said)
    assert contents(package) == before


def test_a_compiler_that_writes_without_end_is_stopped(fake: FakeCompiler, package: Path) -> None:
    fake.plan(floods=True, sleeps=600)
    with pytest.raises(CompilerError, match="over 16 MiB of log"):
        compile_sources(read_sources([package]), fake.program, Options(timeout_s=60), None, quiet)


def test_a_child_that_outlives_the_compiler_is_ended(fake: FakeCompiler, package: Path) -> None:
    fake.plan(WHOLE, {"tiny_edgetpu.tflite": write_compiled(package / "int8.tflite", fake.program.parent / "made.tflite")}, child_sleeps=True)
    compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    assert ended(fake.child)


def test_whoever_stops_the_program_stops_the_compiler_and_leaves_the_package_as_it_was(fake: FakeCompiler, package: Path) -> None:
    fake.plan(sleeps=600, child_sleeps=True)
    before = contents(package)

    def interrupt(line: str) -> None:
        if " s" in line and "most" not in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_sources(read_sources([package]), fake.program, Options(), None, interrupt)
    assert ended(fake.child)
    assert contents(package) == before


def test_a_program_of_another_architecture_is_named(tmp_path: Path, package: Path) -> None:
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF for another machine")
    program.chmod(0o755)
    with pytest.raises(CompilerError, match="can't be started: Exec format error"):
        run_compiler(program, package, ["int8.tflite"], Options(), quiet)


def test_a_package_without_an_int8_variant_and_a_compiled_file_can_not_be_compiled(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="tiny: it has no variant int8, and only that can be compiled"):
        read_sources([write_int8_package(tmp_path, variant="float32")])
    with pytest.raises(ValueError, match=r"split_concat_edgetpu\.tflite is compiled already"):
        read_sources([COMPILED / "split_concat_edgetpu.tflite"])


def test_the_compilers_own_time_limit_is_the_one_given_when_none_is_asked_for() -> None:
    assert Options().timeout_s == compiler.DEFAULT_TIMEOUT_S == 180
