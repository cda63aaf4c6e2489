"""Compiled models read as data. Two real ones lie here; six more are read where HEDGEROW_EDGETPU_PAIRS names their folder."""

import os
import random
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import pytest
from flatbuffers import flexbuffers

from edge_runtime.errors import PackageError
from edge_runtime.toolchain.edgetpu.compile_report import positions
from edge_runtime.toolchain.edgetpu.compiled import compiled_of, read_compiled
from edge_runtime.toolchain.edgetpu.executable import Budget, read_package
from edge_runtime.toolchain.tflite import read_model
from tests.edge_runtime.toolchain.edgetpu.compiled_models import (
    COMPILED,
    LOGITS,
    MASK,
    REAL,
    options_of,
    with_options,
    write_compiled,
    write_int8,
    write_int8_package,
)

SAMPLES = Path(__file__).parents[4] / "samples"
PAIRS = os.environ.get("HEDGEROW_EDGETPU_PAIRS")
KEPT = {"deeplabv3_mnv2_dm05_pascal_quant": [
    "RESIZE_BILINEAR", "QUANTIZE", "CONCATENATION", "CONV_2D", "CONV_2D", "RESIZE_BILINEAR", "RESIZE_BILINEAR", "ARG_MAX",
], "bodypix_mobilenet_v1_075_512_512_16_quant_decoder": ["PosenetDecoderOp"],
   "posenet_mobilenet_v1_075_353_481_16_quant_decoder": ["PosenetDecoderOp"]}


def pair(name: str) -> tuple[Path, Path]:
    here = COMPILED / f"{name}_edgetpu.tflite"
    if not here.is_file() and not PAIRS:
        pytest.skip("HEDGEROW_EDGETPU_PAIRS names no folder of real compiled models")
    folder = COMPILED if here.is_file() else Path(PAIRS or "")
    return folder / f"{name}.tflite", folder / f"{name}_edgetpu.tflite"


@pytest.mark.parametrize(("name", "runtime", "cached", "streamed"), [
    ("split_concat", 13, 192, 0),
    ("keras_lstm_mnist_ptq", 12, 43_968, 576),
    ("deeplabv3_mnv2_dm05_pascal_quant", 12, 766_720, 0),
    ("mobilenet_v1_0.25_128_quant", 12, 566_912, 0),
    ("mobilenet_v1_0.5_160_quant", 12, 1_473_280, 0),
    ("mobilenet_v2_1.0_224_quant", 12, 3_900_864, 0),
    ("bodypix_mobilenet_v1_075_512_512_16_quant_decoder", 12, 1_477_888, 0),
    ("posenet_mobilenet_v1_075_353_481_16_quant_decoder", 12, 1_444_608, 0),
])
def test_a_real_compiled_model_shows_what_the_compiler_made(name: str, runtime: int, cached: int, streamed: int) -> None:
    compiled = read_compiled(pair(name)[1])
    assert (compiled.chip, compiled.runtime_version) == ("beagle", runtime)
    assert (compiled.cached_bytes, compiled.streamed_bytes) == (cached, streamed)
    assert list(compiled.ops_on_cpu) == KEPT.get(name, [])
    assert [executable.kind for executable in compiled.packages[0].executables] == ["EXECUTION_ONLY", "PARAMETER_CACHING"]
    assert len(compiled.tokens) == 1
    assert 20_000 < compiled.instruction_bytes < compiled.size_bytes


@pytest.mark.parametrize("name", [
    "split_concat", "keras_lstm_mnist_ptq", "deeplabv3_mnv2_dm05_pascal_quant", "mobilenet_v1_0.25_128_quant",
    "mobilenet_v1_0.5_160_quant", "mobilenet_v2_1.0_224_quant", "posenet_mobilenet_v1_075_353_481_16_quant_decoder",
])
def test_a_real_compiled_model_is_known_as_made_from_its_source(name: str) -> None:
    source, compiled = pair(name)
    assert sorted(positions(read_model(source), read_compiled(compiled))) == list(range(len(read_model(source).outputs)))


def test_a_real_pair_whose_outputs_were_calibrated_apart_is_told_so() -> None:
    source, compiled = pair("bodypix_mobilenet_v1_075_512_512_16_quant_decoder")
    with pytest.raises(ValueError, match=r"wasn't compiled from .* scale 0\.08016497 and zero point 77, as 'float_part_heatmaps' is"):
        positions(read_model(source), read_compiled(compiled))


def test_layers_and_tensors_have_their_shapes_and_scales() -> None:
    compiled = read_compiled(REAL)
    assert (compiled.compiler, compiled.description) == ("cl/343520747", "Exported from Subgraph.")
    assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in compiled.inputs] == [
        ("input1", (1, 8, 8, 3), "uint8"), ("inputs/rnn1", (1, 8, 8, 1), "uint8"), ("inputs/rnn2", (1, 8, 8, 2), "uint8"),
    ]
    assert [tensor.name for tensor in compiled.outputs] == [
        "concat/split0", "concat/split2", "concat/split4", "outputs/rnn1", "outputs/rnn2"
    ]
    run, _ = compiled.packages[0].executables
    assert [layer.name for layer in run.outputs] == [
        "concat/split0", "outputs/rnn1", "concat/split2", "concat/split4", "outputs/rnn2"
    ]
    assert (run.inputs[0].shape, run.inputs[0].dtype, run.inputs[0].scale, run.inputs[0].zero_point) == (
        (8, 8, 3), "uint8", 1 / 128, 128)
    state = read_compiled(COMPILED / "keras_lstm_mnist_ptq_edgetpu.tflite").packages[0].executables[0].inputs
    assert [(layer.dtype, layer.zero_point) for layer in state] == [("uint8", 0), ("int8", 127), ("int16", 32768)]


def test_two_parts_on_the_tpu_are_added_up_and_the_newer_runtime_counts(tmp_path: Path) -> None:
    other = options_of(COMPILED / "keras_lstm_mnist_ptq_edgetpu.tflite")
    compiled = read_compiled(with_options(tmp_path / "two_edgetpu.tflite", other, options_of(REAL), other))
    assert [package.runtime_version for package in compiled.packages] == [12, 13, 12]
    assert [package.compiler for package in compiled.packages] == ["", "cl/343520747", ""]
    assert (compiled.runtime_version, compiled.compiler, compiled.chip) == (13, "cl/343520747", "beagle")
    assert (compiled.cached_bytes, compiled.streamed_bytes) == (192 + 2 * 43_968, 2 * 576)
    assert (compiled.instruction_bytes, len(compiled.tokens)) == (24_880 + 2 * 64_016, 2)


def test_a_model_that_was_not_compiled_is_sent_to_check() -> None:
    with pytest.raises(ValueError, match=r"split_concat\.tflite is not compiled .*: `hedgerow model check split_concat\.tflite` predicts"):
        read_compiled(COMPILED / "split_concat.tflite")


def test_a_picture_a_folder_and_a_missing_file_are_told_for_what_they_are(tmp_path: Path) -> None:
    for path, told in ((SAMPLES / "field.jpg", "a JPEG picture"), (tmp_path, "a folder"), (tmp_path / "no.tflite", "no such file")):
        with pytest.raises(ValueError, match=told):
            read_compiled(path)


@pytest.mark.parametrize("options", [
    b"", b"\0", b"no flexbuffer", b"\x00" * 64, options_of(REAL)[:-1], options_of(REAL)[:100] + options_of(REAL)[-40:],
    options_of(REAL).replace(b"DWN1", b"DWN2"), flexbuffers.Dumps({"4": "text"}), flexbuffers.Dumps({"1": 0}),
    flexbuffers.Dumps([1, 2, 3]),
])
def test_what_is_no_package_is_refused_by_the_name_of_the_file(tmp_path: Path, options: bytes) -> None:
    with pytest.raises(ValueError, match=r"^bad_edgetpu\.tflite is damaged: edgetpu-custom-op: "):
        read_compiled(with_options(tmp_path / "bad_edgetpu.tflite", options))


def test_options_damaged_in_any_way_are_refused() -> None:
    draw = random.Random(1)
    whole = bytes(flexbuffers.Dumps({"1": 0, "4": "x" * 40, "5": -1, "6": [18], "7": []}))
    for _ in range(3000):
        options = bytearray(whole)
        for _ in range(draw.choice((1, 2, 3, 5))):
            options[draw.randrange(len(options))] = draw.getrandbits(8)
        with pytest.raises(ValueError, match=r"options hold no package|package is cut short or damaged"):
            read_package(bytes(options), Budget(10_000))


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content, path = REAL.read_bytes(), tmp_path / "cut_edgetpu.tflite"
    for length in [*range(0, 400, 7), *range(400, len(content), 997)]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"^cut_edgetpu\.tflite"):
            read_compiled(path)


def test_a_damaged_file_is_read_or_refused_and_never_hangs(tmp_path: Path) -> None:
    draw, path = random.Random(6), tmp_path / "damaged_edgetpu.tflite"
    began, refused = time.monotonic(), 0
    for _ in range(400):
        content = bytearray(REAL.read_bytes())
        for _ in range(draw.choice((1, 4, 30))):
            place = draw.choice((draw.randrange(len(content)), draw.randrange(4000), len(content) - 1 - draw.randrange(1200)))
            content[place:place + 4] = struct.pack("<I", draw.choice((0, 1, 2**31 - 1, 2**32 - 1, draw.getrandbits(32))))
        path.write_bytes(content)
        try:
            read_compiled(path)
        except ValueError:
            refused += 1
    assert refused > 100
    assert time.monotonic() - began < 60


def test_the_parameters_of_an_executable_that_stands_alone_are_streamed(tmp_path: Path) -> None:
    inner = flatbuffers.Builder(0)
    parameters, chip = inner.CreateByteVector(b"p" * 5000), inner.CreateString("beagle")
    inner.StartObject(17)
    inner.PrependUOffsetTRelativeSlot(6, parameters, 0)
    inner.PrependUOffsetTRelativeSlot(10, chip, 0)
    inner.Finish(inner.EndObject())
    path = with_options(tmp_path / "alone_edgetpu.tflite", _options([bytes(inner.Output())], runtime=10))
    compiled = read_compiled(path)
    assert [executable.kind for executable in compiled.packages[0].executables] == ["STAND_ALONE"]
    assert (compiled.cached_bytes, compiled.streamed_bytes, compiled.tokens, compiled.runtime_version) == (0, 5000, (), 10)


def test_a_file_that_points_at_the_same_bytes_again_and_again_is_refused_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    for count, size in ((300_000, 16), (50_000, 100_000)):
        path = with_options(tmp_path / "many_edgetpu.tflite", _repeating(count, size))
        with pytest.raises(ValueError, match="it holds more than its size allows"):
            read_compiled(path)
    assert time.monotonic() - began < 20


def _repeating(count: int, size: int) -> bytes:
    """A package in which `count` executables are the same `size` bytes."""
    return _options([b"\x08\0\0\0\x04\0\x04\0\x04\0\0\0".ljust(size, b"\0")], repeat=count)


def _options(programs: Sequence[bytes], repeat: int = 1, runtime: int = 12) -> bytes:
    """A custom operator's options: a package of executables, each pointed at `repeat` times."""
    inner = flatbuffers.Builder(0)
    places = [place for program in programs for place in [inner.CreateByteVector(program)] * repeat]
    inner.StartVector(4, len(places), 4)
    for place in places:
        inner.PrependUOffsetTRelative(place)
    vector = inner.EndVector()
    inner.StartObject(1)
    inner.PrependUOffsetTRelativeSlot(0, vector, 0)
    inner.Finish(inner.EndObject())
    outer = flatbuffers.Builder(0)
    content = outer.CreateByteVector(bytes(inner.Output()))
    outer.StartObject(2)
    outer.PrependInt32Slot(0, runtime, 0)
    outer.PrependUOffsetTRelativeSlot(1, content, 0)
    outer.Finish(outer.EndObject(), b"DWN1")
    package = bytes(outer.Output())
    return bytes(flexbuffers.Dumps({"4": "x" * len(package)})).replace(b"x" * len(package), package)


def test_a_package_without_a_compiled_variant_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"tiny: it has no variant int8_edgetpu; `hedgerow model compile` makes it"):
        compiled_of(write_int8_package(tmp_path))


def test_outputs_are_found_by_name_in_whatever_order_they_come(tmp_path: Path) -> None:
    alike = (LOGITS, LOGITS)
    source = write_int8(tmp_path / "a.tflite", outputs=alike)
    turned = write_compiled(source, tmp_path / "a_edgetpu.tflite", reverse=True)
    assert positions(read_model(source), read_compiled(turned)) == (1, 0)


def test_outputs_that_were_renamed_are_found_by_their_form_unless_two_are_alike(tmp_path: Path) -> None:
    source = write_int8(tmp_path / "a.tflite", outputs=(LOGITS, MASK))
    renamed = write_compiled(source, tmp_path / "a_edgetpu.tflite", reverse=True, rename=True)
    assert positions(read_model(source), read_compiled(renamed)) == (1, 0)
    alike = write_int8(tmp_path / "b.tflite", outputs=(LOGITS, LOGITS))
    with pytest.raises(ValueError, match=r"several of its outputs could be 'tensor_1' of b\.tflite"):
        positions(read_model(alike), read_compiled(write_compiled(alike, tmp_path / "b_edgetpu.tflite", rename=True)))
