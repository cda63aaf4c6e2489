"""Taking what was compiled into packages, and holding it against the prediction."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_runtime.errors import PackageError
from edge_runtime.folders import write_whole
from edge_runtime.models import load_package, read_manifest
from edge_runtime.toolchain.edgetpu.compile_models import compile_sources, instructions, read_sources, take_in
from edge_runtime.toolchain.edgetpu.compile_report import CompileReport, disagreements, make_report
from edge_runtime.toolchain.edgetpu.compiler import Options
from edge_runtime.toolchain.edgetpu.compiler_log import ModelLog, OpLine
from edge_runtime.toolchain.edgetpu.store import store_in_package
from edge_runtime.toolchain.tflite import read_model
from edge_runtime.versions import pack
from tests.edge_runtime.toolchain.edgetpu.compiled_models import (
    COMPILED,
    LOGITS,
    contents,
    write_compiled,
    write_int8,
    write_int8_package,
)
from tests.edge_runtime.toolchain.edgetpu.fake_compiler import MAPPED, WHOLE, FakeCompiler, compile_log, compiled, quiet


@pytest.fixture
def fake(tmp_path: Path) -> FakeCompiler:
    return FakeCompiler(tmp_path / "bin")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_int8_package(tmp_path / "models")


def test_a_package_gets_the_variant_its_report_and_the_log(fake: FakeCompiler, package: Path) -> None:
    before = contents(package)
    compiled(fake, package)
    loaded = load_package(package)
    assert list(loaded.manifest.variants) == ["int8", "int8_edgetpu"]
    assert set(contents(package)) == {*before, "int8_edgetpu.tflite", "int8_edgetpu.json", "int8_edgetpu.log"}
    assert {name: before[name] for name in ("int8.tflite", "known_answer.npz", "MODEL_CARD.md")}.items() <= contents(package).items()
    assert (package / "int8_edgetpu.log").read_text() == WHOLE
    report = msgspec.json.decode((package / "int8_edgetpu.json").read_bytes(), type=CompileReport)
    assert (report.compiler, report.chip, report.runtime_version) == ("16.0.384591198", "beagle", 13)
    assert (report.cached_bytes, report.streamed_bytes, report.log.on_chip_used_bytes) == (192, 0, 192)
    assert report.source_sha256 == loaded.manifest.variants["int8"].sha256
    assert report.compiled_sha256 == loaded.manifest.variants["int8_edgetpu"].sha256
    assert (report.disagreements, report.doubts, report.ops_on_cpu) == ([], [], {})
    assert set(loaded.manifest.files) == {"MODEL_CARD.md", "int8_edgetpu.json", "int8_edgetpu.log"}
    pack(package)


def test_outputs_that_the_compiler_reordered_keep_their_names(fake: FakeCompiler, package: Path) -> None:
    compiled(fake, package, reverse=True)
    variants = load_package(package).manifest.variants
    assert {name: tensor.position for name, tensor in variants["int8"].outputs.items()} == {"logits": 0, "mask": 1}
    assert {name: tensor.position for name, tensor in variants["int8_edgetpu"].outputs.items()} == {"logits": 1, "mask": 0}


def test_compiling_again_replaces_the_older_files(fake: FakeCompiler, package: Path) -> None:
    compiled(fake, package)
    first = load_package(package).manifest.variants["int8_edgetpu"]
    compiled(fake, package, reverse=True)
    second = load_package(package).manifest.variants["int8_edgetpu"]
    assert first.sha256 != second.sha256
    assert not (package / first.file).exists()
    compiled(fake, package)
    assert load_package(package).manifest.variants["int8_edgetpu"] == first
    assert {path.name for path in package.iterdir() if "edgetpu" in path.name} == {
        "int8_edgetpu.tflite", "int8_edgetpu.json", "int8_edgetpu.log"}


def test_a_signature_that_no_longer_fits_is_taken_out_and_that_is_said(fake: FakeCompiler, package: Path) -> None:
    (package / "model.sig").write_text("signed")
    fake.plan(WHOLE, {"tiny_edgetpu.tflite": write_compiled(package / "int8.tflite", fake.program.parent / "made.tflite")})
    (result,) = compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    assert not (package / "model.sig").exists()
    assert any("model.sig was taken out" in note and "hedgerow model sign" in note for note in result.notes)


def test_with_a_folder_for_it_the_package_stays_as_it_is(fake: FakeCompiler, package: Path, tmp_path: Path) -> None:
    (package / "model.sig").write_text("signed")
    before = contents(package)
    compiled(fake, package, out=tmp_path / "out" / "deep")
    assert contents(package) == before
    assert set(contents(tmp_path / "out" / "deep")) == {"tiny_edgetpu.tflite", "tiny_edgetpu.json", "tiny_edgetpu.log"}


def test_operators_that_check_had_mapped_and_the_compiler_did_not_are_told(fake: FakeCompiler, package: Path) -> None:
    status = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
    report = compiled(fake, package, log=compile_log("tiny", {("LOGISTIC", MAPPED): 1, ("TANH", status): 1}), kept=["TANH"])
    (found,) = report.disagreements
    assert (found.op, found.predicted, found.mapped, found.total, found.compiler_says) == ("TANH", 1, 0, 1, status)
    assert report.ops_on_cpu == {"TANH": 1}


def test_operators_that_the_compiler_mapped_and_check_had_not_are_told(tmp_path: Path) -> None:
    model = read_model(write_int8(tmp_path / "a.tflite", ("RELU", "LEAKY_RELU", "RELU6", "MyOp"), outputs=(LOGITS,)))
    reasons = {1: "Operation not supported", 2: "More than one subgraph is not supported", 3: "Operation not supported"}
    log = ModelLog("a", ops=(OpLine("CUSTOM", 1, "Operation is working on an unsupported data type"),))
    found = disagreements(model, reasons, Counter({"MyOp": 1}), log)
    assert [(one.op, one.predicted, one.mapped, one.check_says) for one in found] == [
        ("LEAKY_RELU", 0, 1, "Operation not supported"), ("RELU6", 0, 1, "More than one subgraph is not supported"),
    ]
    (kept,) = disagreements(model, {}, Counter({"MyOp": 1}), log)
    assert (kept.op, kept.compiler_says) == ("CUSTOM", "Operation is working on an unsupported data type")


@pytest.mark.parametrize(("parts", "wrong"), [(2, []), (1, ["RELU6"])])
def test_of_a_file_with_several_parts_on_the_tpu_several_are_expected(tmp_path: Path, parts: int, wrong: list[str]) -> None:
    source = write_int8(tmp_path / "a.tflite", ("RELU", "LEAKY_RELU", "RELU6"), outputs=(LOGITS,))
    file = write_compiled(source, tmp_path / "a_edgetpu.tflite", kept=["LEAKY_RELU"], parts=parts)
    report = make_report(source, file, "Input: a.tflite\nOutput: a_edgetpu.tflite\n")
    assert [found.op for found in report.disagreements] == wrong


def test_a_log_that_may_be_of_another_file_is_doubted(fake: FakeCompiler, package: Path) -> None:
    report = compiled(fake, package, kept=["TANH"])
    assert any("perhaps the log isn't of this file" in doubt for doubt in report.doubts)


@pytest.mark.parametrize(("made", "told"), [
    ({"change": lambda tensor: setattr(tensor, "shape", [1, 9, 8, 3])}, r"wasn't compiled from tiny\.tflite: it has no input that is int8 \[1, 8, 8, 3\]"),
    ({"change": lambda tensor: setattr(tensor, "type", 3)}, "it has no input that is int8"),
    ({"change": lambda tensor: setattr(tensor.quantization, "scale", [0.125])}, "with scale 0.0078125 and zero point -1"),
    ({"change": lambda tensor: setattr(tensor.quantization, "zeroPoint", [9])}, "with scale 0.0078125 and zero point -1"),
])
def test_a_file_that_is_of_another_model_is_refused(
    fake: FakeCompiler, package: Path, made: dict[str, Any], told: str,
) -> None:
    before = contents(package)
    with pytest.raises(ValueError, match=told):
        compiled(fake, package, **made)
    assert contents(package) == before


@pytest.mark.parametrize("content", [b"", b"TFL3", (COMPILED / "split_concat.tflite").read_bytes(), b"\xff\xd8\xff picture"])
def test_a_file_that_is_none_is_refused(fake: FakeCompiler, package: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "made").write_bytes(content)
    before = contents(package)
    fake.plan(WHOLE, {"tiny_edgetpu.tflite": tmp_path / "made"})
    with pytest.raises(ValueError, match=r"tiny_edgetpu\.tflite"):
        compile_sources(read_sources([package]), fake.program, Options(), None, quiet)
    assert contents(package) == before


def test_what_was_compiled_elsewhere_is_taken_in(package: Path, tmp_path: Path) -> None:
    file = write_compiled(package / "int8.tflite", tmp_path / "tiny_edgetpu.tflite")
    (tmp_path / "compiler.log").write_text(WHOLE)
    result = take_in(read_sources([package])[0], file, tmp_path / "compiler.log", Options(), None)
    assert (result.report.options, result.report.compiler) == ([], "16.0.384591198")
    assert load_package(package).path_of("int8_edgetpu").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("log", "told"), [
    ((Path(__file__).parent / "files/logs/v16_two_models.log").read_text(), "the log tells of scan_edgetpu.tflite, field_edgetpu.tflite, and not of tiny_edgetpu.tflite"),
    ("Internal compiler error. Aborting!", "the log is of a run that failed: Internal compiler error"),
    ("notes of a walk", "the log is none of edgetpu_compiler"),
])
def test_a_log_of_something_else_is_refused(package: Path, tmp_path: Path, log: str, told: str) -> None:
    file = write_compiled(package / "int8.tflite", tmp_path / "tiny_edgetpu.tflite")
    (tmp_path / "compiler.log").write_text(log)
    before = contents(package)
    with pytest.raises(ValueError, match=told):
        take_in(read_sources([package])[0], file, tmp_path / "compiler.log", Options(), None)
    assert contents(package) == before


def test_the_instructions_are_those_that_this_program_takes(package: Path, tmp_path: Path) -> None:
    text = instructions(read_sources([package]), Options(multiple_subgraphs=True), tmp_path)
    assert f"    cp {package}/int8.tflite tiny.tflite" in text
    assert "    edgetpu_compiler -s -a tiny.tflite 2>&1 | tee compiler.log" in text
    assert f"    hedgerow model compile {package} --compiled tiny_edgetpu.tflite --log compiler.log --multiple-subgraphs --out {tmp_path}" in text
    assert "coral.ai/docs/edgetpu/compiler" in text


def test_a_package_can_be_loaded_at_every_moment_of_a_compilation(fake: FakeCompiler, package: Path) -> None:
    """Another thread reads the manifest and every file that it names, over and over."""
    compiled(fake, package)
    done, faults, reads = threading.Event(), list[BaseException](), [0]

    def read() -> None:
        while not done.is_set():
            try:
                manifest = read_manifest(package)
                load_package(package)
            except (PackageError, OSError) as error:  # no fault where the manifest was exchanged meanwhile
                if read_manifest(package) == manifest:
                    faults.append(error)
            reads[0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(12):
        compiled(fake, package, reverse=turn % 2 == 0)
    done.set()
    reader.join()
    assert reads[0] > 5
    assert not faults


def test_a_package_that_changed_meanwhile_is_not_overwritten(package: Path, fake: FakeCompiler, tmp_path: Path) -> None:
    report = compiled(fake, package, out=tmp_path / "out")
    loaded = load_package(package)
    (package / "model.toml").write_text((package / "model.toml").read_text().replace('version = "1"', 'version = "2"'))
    before = contents(package)
    with pytest.raises(PackageError, match="was changed while it was being compiled"):
        store_in_package(loaded, tmp_path / "out" / "tiny_edgetpu.tflite", report, WHOLE)
    assert contents(package) == before


def test_a_package_that_was_damaged_meanwhile_gets_no_variant(package: Path, fake: FakeCompiler, tmp_path: Path) -> None:
    report = compiled(fake, package, out=tmp_path / "out")
    loaded = load_package(package)
    (package / "known_answer.npz").write_bytes(b"damaged")
    before = contents(package)
    with pytest.raises(PackageError, match=r"known_answer\.npz was changed"):
        store_in_package(loaded, tmp_path / "out" / "tiny_edgetpu.tflite", report, WHOLE)
    assert contents(package) == before


def test_a_manifest_that_counts_outputs_wrong_is_refused(fake: FakeCompiler, package: Path) -> None:
    text = (package / "model.toml").read_text()
    (package / "model.toml").write_text(text.replace("position = 1", "position = 7"))
    with pytest.raises(PackageError, match=r"tiny: variants\.int8\.outputs\.mask: there is no output at position 7"):
        compiled(fake, package)


def test_a_disk_that_is_full_leaves_the_package_as_it_was(package: Path, fake: FakeCompiler, tmp_path: Path) -> None:
    """The manifest's place is taken by a folder of that name in writing, so the last of the files can't be put there."""
    report = compiled(fake, package, out=tmp_path / "out")
    loaded, before = load_package(package), contents(package)
    (package / ".model.toml.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        store_in_package(loaded, tmp_path / "out" / "tiny_edgetpu.tflite", report, WHOLE)
    (package / ".model.toml.part").rmdir()
    assert contents(package) == before


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"new")
    assert contents(tmp_path) == {"a": b"new"}
    (tmp_path / ".b.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "b", b"new")
    assert not (tmp_path / "b").exists()
    (tmp_path / "c").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "c", b"new")
    assert not (tmp_path / ".c.part").exists()
