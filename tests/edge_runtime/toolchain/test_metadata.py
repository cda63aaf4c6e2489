"""TFLite Metadata in a variant: what a reader finds, and that the network answers as if nothing were there."""

import io
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from domains.core import InputSpec
from domains.core.training import Identity
from edge_runtime.flatbuffer import root_of
from edge_runtime.tflite_file import read_graph
from edge_runtime.toolchain.attach import TFLITE, attach, buffer_of, detach
from edge_runtime.toolchain.describe import describe
from edge_runtime.toolchain.metadata import NAME, read_metadata
from edge_runtime.toolchain.metadata_writer import embed
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.tflite import read_model
from tests.edge_runtime.toolchain.packaging import BREAST, PEANUT, SAMPLE, SHIPPED

FILES = [package / f"{variant}.tflite" for package in SHIPPED for variant in ("float32", "int8")]


def identity(package: Path) -> Identity:
    """The recipe's."""
    return recipes_of("crop_weed" if package == PEANUT else "pathology", package.name)[0].identity


def bare(path: Path, folder: Path) -> Path:
    """A copy without metadata, as the converter wrote it."""
    copy = folder / path.name
    copy.write_bytes(detach(path.read_bytes(), NAME))
    assert read_metadata(copy) is None
    return copy


def answers(path: Path) -> list[NDArray[np.generic]]:
    """Raw outputs for noise."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    noise = np.random.default_rng(3).integers(-128, 128, given["shape"])
    interpreter.set_tensor(given["index"], (noise if given["dtype"] == np.int8 else noise / 128).astype(given["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_network_answers_bit_for_bit_as_before_and_no_byte_of_it_has_moved(tmp_path: Path, path: Path) -> None:
    before = bare(path, tmp_path)
    original, expected, graph, model = before.read_bytes(), answers(before), read_graph(before), read_model(before)
    embed(before, identity(path.parent))
    after = before.read_bytes()
    assert after.find(original) % 64 == 0
    assert len(after) - len(original) < 4096
    for found, wanted in zip(answers(before), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert read_graph(before) == graph
    enlarged = read_model(before)
    assert (enlarged.tensors, enlarged.signatures) == (model.tensors, model.signatures)
    assert enlarged.metadata == (*model.metadata, NAME)


def test_a_reader_finds_name_version_licence_picture_and_labels(tmp_path: Path) -> None:
    path = bare(BREAST / "float32.tflite", tmp_path)
    wanted = replace(identity(BREAST), version="3.1.4")
    info = embed(path, wanted)
    assert info == describe(path)
    found = read_metadata(path)
    assert found is not None
    assert (found.name, found.version, found.author, found.min_parser_version) == ("breast_ultrasound", "3.1.4", "Hedgerow", "1.0.0")
    assert wanted.title in found.description
    assert wanted.intended_use in found.description
    assert wanted.weights_licence in found.licence
    assert wanted.data_licence in found.licence
    (picture,) = found.inputs
    assert (picture.colours, picture.width, picture.height) == ("rgb", 224, 224)
    assert (picture.mean, picture.std) == ((127.0,) * 3, (128.0,) * 3)
    assert (picture.least, picture.greatest) == ((-127 / 128,), (1.0,))
    assert [(output.name, output.labels) for output in found.outputs] == [("activation", ()), ("familiarity", ()), ("logits", wanted.labels)]
    assert found.activation == ""


def test_an_int8_file_tells_the_range_of_its_own_numbers(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    embed(path, identity(BREAST))
    found = read_metadata(path)
    assert found is not None
    assert (found.inputs[0].least, found.inputs[0].greatest) == ((-128.0,), (127.0,))


def test_a_segmentation_tells_mediapipe_to_take_the_softmax(tmp_path: Path) -> None:
    path = bare(PEANUT / "float32.tflite", tmp_path)
    embed(path, identity(PEANUT))
    found = read_metadata(path)
    assert found is not None
    assert (found.activation, found.min_parser_version) == ("softmax", "1.5.0")
    assert [output.labels for output in found.outputs if output.labels] == [("soil", "crop", "weed")]


def test_a_grey_model_says_so(tmp_path: Path) -> None:
    path = bare(BREAST / "float32.tflite", tmp_path)
    embed(path, replace(identity(BREAST), input=InputSpec(224, 224, 127.5, 127.5, 1)))
    found = read_metadata(path)
    assert found is not None
    assert (found.inputs[0].colours, found.inputs[0].mean, found.inputs[0].std) == ("grey", (127.5,), (127.5,))


def test_newer_metadata_take_the_place_of_older_ones_and_the_file_does_not_grow(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    embed(path, replace(identity(BREAST), version="1.0.0"))
    first = path.read_bytes()
    embed(path, replace(identity(BREAST), version="2.0.0"))
    found = read_metadata(path)
    assert found is not None
    assert found.version == "2.0.0"
    assert len(path.read_bytes()) == len(first)
    embed(path, replace(identity(BREAST), version="1.0.0"))
    assert path.read_bytes() == first
    assert read_model(path).metadata.count(NAME) == 1


def test_the_labels_lie_in_a_zip_that_needs_no_unpacking_and_counts_from_the_begin_of_the_file(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    embed(path, identity(BREAST))
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
        assert (info.filename, info.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert archive.read(info) == b"benign\nmalignant\nnormal\n"
    assert path.read_bytes()[info.header_offset :].startswith(b"PK\x03\x04")


def test_what_is_no_tflite_file_is_refused_by_name(tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((BREAST / "int8.tflite").read_bytes()[:100])
    for path, name in ((SAMPLE, "breast_scan.jpg"), (cut, "cut.tflite"), (tmp_path / "absent.tflite", "absent.tflite")):
        with pytest.raises(ValueError, match=f"{name} is no TFLite file"):
            read_metadata(path)
    with pytest.raises(ValueError, match=r"cut\.tflite is no TFLite file"):
        embed(cut, identity(BREAST))
    with pytest.raises(ValueError, match="no TFLite file"):
        attach(b"\x00" * 200, NAME, b"", {})


def foreign(*buffers: schema.BufferT) -> bytes:
    """A file by another tool, whose last buffer is its TFLite Metadata."""
    model, graph, entry = schema.ModelT(), schema.SubGraphT(), schema.MetadataT()
    graph.inputs, graph.outputs, graph.tensors, graph.operators = [], [], [], []
    entry.name, entry.buffer = NAME, len(buffers) - 1
    model.version, model.buffers, model.subgraphs, model.metadata = 3, list(buffers), [graph], [entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_metadata_of_another_tool_are_replaced(tmp_path: Path) -> None:
    theirs = schema.BufferT()
    theirs.data = list(b"theirs")
    path = tmp_path / "foreign.tflite"
    path.write_bytes(attach(foreign(schema.BufferT(), theirs), NAME, b"ours", {}))
    assert read_model(path).metadata == (NAME,)
    found = buffer_of(root_of(path.read_bytes(), TFLITE), NAME)
    assert found is not None
    assert found[1] == b"ours"


def test_weights_outside_of_the_flatbuffer_are_refused_since_their_places_would_be_wrong() -> None:
    outside = schema.BufferT()
    outside.offset, outside.size = 4096, 16
    with pytest.raises(ValueError, match="over 2 GB"):
        attach(foreign(schema.BufferT(), outside), NAME, b"metadata", {})


def test_missing_labels_are_told_by_their_name(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    embed(path, identity(BREAST))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"PK\x03\x04")])
    with pytest.raises(ValueError, match=r"int8\.tflite has TFLite Metadata .*'labels\.txt', which is not in it"):
        read_metadata(path)


def test_damaged_metadata_never_give_anything_but_an_answer_or_one_sentence(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    size = len(path.read_bytes())
    embed(path, identity(BREAST))
    whole = path.read_bytes()
    draw = random.Random(5)
    refusals = []
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(4):
            place = draw.choice((draw.randrange(900), draw.randrange(size + 700, len(whole))))
            content[place] = draw.randrange(256)
        path.write_bytes(content)
        try:
            read_metadata(path)
        except ValueError as error:
            refusals.append(str(error))
    assert 100 < len(refusals) < 400
    assert all(text.startswith("int8.tflite ") for text in refusals)


def test_a_file_in_the_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = bare(BREAST / "int8.tflite", tmp_path)
    embed(path, identity(BREAST))
    content = path.read_bytes()
    stream = io.BytesIO()
    stream.write(content[: content.rindex(b"PK\x03\x04")])
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"\n" * 2**21)
    path.write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match="over 1 MiB"):
        read_metadata(path)
