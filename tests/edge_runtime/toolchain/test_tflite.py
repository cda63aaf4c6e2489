"""Files of strangers are read, or refused by name: never another error, never without end."""

import struct
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_runtime.toolchain.edgetpu.predict import predict
from edge_runtime.toolchain.tflite import MAX_ITEMS, Model, read_model
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder, kept


def read(data: bytes, folder: Path) -> Model:
    path = folder / "x.tflite"
    path.write_bytes(data)
    return read_model(path)


def test_a_converted_model_is_read_whole(tmp_path: Path) -> None:
    model = read_model(kept("dense_per_channel", tmp_path))
    assert [op.name for op in model.ops] == [
        "QUANTIZE", "CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "QUANTIZE",
    ]
    source, weights = model.tensors[model.inputs[0]], model.tensors[model.ops[4].inputs[1]]
    assert (source.dtype, source.shape, len(source.scales), source.constant_bytes) == ("uint8", (1, 8, 8, 1), 1, 0)
    assert (weights.dtype, weights.shape, weights.constant_bytes) == ("int8", (16, 64), 1024)
    assert (len(weights.scales), weights.quantised_axis) == (16, 0)
    assert model.ops[4].inputs[2] == -1, "it has no bias"
    assert model.tensors[model.ops[3].inputs[1]].values == (1, 64), "the shape that RESHAPE gives"
    assert (model.subgraphs, model.description) == (1, "MLIR Converted.")
    assert [(signature.key, len(signature.inputs)) for signature in model.signatures] == [("serving_default", 1)]
    assert "min_runtime_version" in model.metadata


def test_an_open_size_is_told_from_its_placeholder(tmp_path: Path) -> None:
    model = read_model(kept("open_batch", tmp_path))
    source = model.tensors[model.inputs[0]]
    assert (source.shape, source.shape_signature) == ((1, 8, 8, 1), (-1, 8, 8, 1))


@pytest.mark.parametrize(("data", "told"), [
    (b"", "x.tflite is no TFLite file: it is empty"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "x.tflite is no TFLite file: it is a JPEG picture"),
    (b"\x89HDF\r\n\x1a\n", "x.tflite is no TFLite file: it is a Keras .h5 or other HDF5 file, which must be converted first"),
    (b"PK\x03\x04...", "x.tflite is no TFLite file: it is a ZIP archive, such as a .keras file, which must be converted first"),
    (b"hello, world", "x.tflite is no TFLite file"),
    (b"\x1c\x00\x00\x00TFL3", "x.tflite is no whole TFLite file: it is cut short or damaged"),
])
def test_what_is_no_model_is_refused_by_name(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no") as refused:
        read(data, tmp_path)
    assert str(refused.value) == told


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        read_model(tmp_path)
    with pytest.raises(ValueError, match="there is no such file"):
        read_model(tmp_path / "none.tflite")


def test_a_file_cut_anywhere_is_refused_or_read_but_never_ends_the_program(tmp_path: Path) -> None:
    data = kept("leaky_relu", tmp_path).read_bytes()
    whole = 0
    for end in range(0, len(data), 7):
        try:
            read(data[:end], tmp_path)
            whole += 1
        except ValueError:
            pass
    assert whole == 0


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_changed_bytes_give_a_model_or_a_refusal(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    source = tmp_path / "leaky_relu.tflite"
    data = bytearray((source if source.exists() else kept("leaky_relu", tmp_path)).read_bytes())
    for place, byte in changes:
        data[place % len(data)] = byte
    try:
        model = read(bytes(data), tmp_path)
    except ValueError:
        return
    predict(model)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1200), st.integers(0, 2**32 - 1))
def test_any_changed_offset_or_count_gives_a_model_or_a_refusal(tmp_path: Path, word: int, value: int) -> None:
    source = tmp_path / "leaky_relu.tflite"
    data = bytearray((source if source.exists() else kept("leaky_relu", tmp_path)).read_bytes())
    struct.pack_into("<I", data, word * 4 % (len(data) - 4), value)
    try:
        model = read(bytes(data), tmp_path)
    except ValueError:
        return
    predict(model)


def test_an_operator_of_a_tensor_that_is_not_there_is_refused(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8)
    graph.op("RELU", [source], [7])
    with pytest.raises(ValueError, match="damaged"):
        read(graph.data([source], [source]), tmp_path)


def test_a_constant_that_goes_beyond_the_end_is_refused(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 4)
    output = graph.conv(source, 64, 1)
    data = bytearray(graph.data([source], [output]))
    weights = schema.Model.GetRootAs(data, 0).Buffers(1)
    length_at = weights._tab.Vector(weights._tab.Offset(4)) - 4
    struct.pack_into("<I", data, length_at, len(data))
    with pytest.raises(ValueError, match="damaged"):
        read(bytes(data), tmp_path)


def test_a_file_with_more_in_it_than_any_model_has_is_refused_quickly(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(*([1] * (MAX_ITEMS // 8)))
    for _ in range(9):
        graph.tensors.append(graph.tensors[0])
    with pytest.raises(ValueError, match="damaged"):
        read(graph.data([source], [source]), tmp_path)
