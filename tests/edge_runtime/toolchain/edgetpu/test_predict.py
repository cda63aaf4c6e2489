"""What the prediction says of networks that a Keras user meets, converted by TensorFlow (files/make_converted.py)."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.toolchain.edgetpu.predict import Prediction, predict
from edge_runtime.toolchain.tflite import read_model
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder, kept

BEHIND = "More than one subgraph is not supported"
DYNAMIC = "dynamic-sized tensors"


def checked(name: str, folder: Path, *, many_subgraphs: bool = False) -> Prediction:
    return predict(read_model(kept(name, folder)), many_subgraphs=many_subgraphs)


def test_a_network_of_relus_maps_whole(tmp_path: Path) -> None:
    found = checked("relu", tmp_path)
    assert (found.ops_mapped, found.ops_total, found.fatal, found.advice) == (8, 8, "", ())
    assert {op.reason for op in found.ops} == {"Mapped to Edge TPU"}


def test_a_leaky_relu_keeps_itself_and_all_behind_it_on_the_cpu(tmp_path: Path) -> None:
    found = checked("leaky_relu", tmp_path)
    assert [op.name for op in found.ops if op.mapped] == ["QUANTIZE", "CONV_2D", "CONV_2D"]
    leaky = found.ops[3]
    assert (leaky.name, leaky.reason) == ("LEAKY_RELU", "Operation not supported")
    assert leaky.advice.startswith("LeakyReLU -> ReLU")
    assert {op.reason for op in found.ops[4:]} == {BEHIND}


def test_the_published_table_of_the_case_study_comes_out_with_many_subgraphs(tmp_path: Path) -> None:
    found = checked("leaky_relu", tmp_path, many_subgraphs=True)
    assert [op.name for op in found.ops if not op.mapped] == ["LEAKY_RELU"]
    assert found.ops_mapped == 8


def test_float_ends_keep_only_the_conversions_on_the_cpu(tmp_path: Path) -> None:
    found = checked("float_ends", tmp_path)
    assert [(op.index, op.name) for op in found.ops if not op.mapped] == [(0, "QUANTIZE"), (7, "DEQUANTIZE")]
    assert "inference_input_type" in found.ops[0].advice
    assert "inference_output_type" in found.ops[7].advice


def test_a_float_model_is_refused_as_not_quantised(tmp_path: Path) -> None:
    found = checked("float32", tmp_path)
    assert (found.fatal, found.ops_mapped, found.parameter_bytes) == ("Model not quantized", 0, 0)
    assert "representative_dataset" in found.advice[0]


def test_weights_alone_in_8_bits_are_not_enough(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 8, dtype="float32"), graph.tensor(1, 4, dtype="float32")
    graph.op("FULLY_CONNECTED", [source, graph.constant(4, 8), -1], [output], schema.FullyConnectedOptionsT(), 3)
    assert predict(graph.model(tmp_path, [source], [output])).fatal == "Model not quantized"


def test_an_open_batch_size_under_a_flatten_is_refused_as_dynamic(tmp_path: Path) -> None:
    found = checked("open_batch", tmp_path)
    assert DYNAMIC in found.fatal
    assert found.ops_mapped == 0
    assert "batch_size=1" in found.advice[0]


def test_an_open_batch_size_that_nothing_depends_on_is_pointed_out_and_maps(tmp_path: Path) -> None:
    found = checked("open_batch_pooled", tmp_path)
    assert (found.fatal, found.ops_mapped) == ("", found.ops_total)
    assert "batch_size=1" in found.advice[0]


def test_dense_layers_with_a_scale_per_channel_stay_on_the_cpu(tmp_path: Path) -> None:
    found = checked("dense_per_channel", tmp_path)
    assert [op.index for op in found.ops if op.mapped] == [0, 1, 2, 3]
    assert found.ops[4].advice.startswith("quantise Dense per tensor")


def test_a_transposed_convolution_maps_from_runtime_13_on(tmp_path: Path) -> None:
    found = checked("transposed", tmp_path)
    assert (found.ops_mapped, found.runtime_version) == (found.ops_total, 13)


def test_a_transposed_convolution_with_a_relu_in_it_is_too_new_for_the_compiler(tmp_path: Path) -> None:
    found = checked("transposed_relu", tmp_path)
    assert found.fatal == "Model could not be parsed: didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'"
    assert found.ops_mapped == 0
    assert "UpSampling2D" in found.advice[0]


def test_a_compiled_model_is_told_apart(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 8), graph.tensor(1, 8)
    graph.op("edgetpu-custom-op", [source], [output])
    assert "inspect" in predict(graph.model(tmp_path, [source], [output])).fatal


@pytest.mark.parametrize(("name", "version"), [("CONV_2D", 6), ("FULLY_CONNECTED", 12), ("EXP", 2), ("GELU", 1)])
def test_operators_newer_than_the_compiler_stop_it_by_name_and_version(name: str, version: int, tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 8), graph.tensor(1, 8)
    graph.op(name, [source], [output], version=version)
    assert f"'{name}' version '{version}'" in predict(graph.model(tmp_path, [source], [output])).fatal


def test_a_model_with_a_loop_or_a_condition_is_refused(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source, output = graph.tensor(1, 8), graph.tensor(1, 8)
    graph.op("RELU", [source], [output])
    found = predict(graph.model(tmp_path, [source], [output], subgraphs=3))
    assert "3 subgraphs" in found.fatal


def test_a_model_without_operators_is_refused(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8)
    assert predict(graph.model(tmp_path, [source], [source])).fatal.startswith("Did not get operators")


def test_two_branches_map_up_to_their_own_first_gap(tmp_path: Path) -> None:
    graph = GraphBuilder()
    source = graph.tensor(1, 8, 8, 16)
    left, right, leaky, joined = (graph.tensor(1, 8, 8, 16) for _ in range(4))
    graph.op("RELU", [source], [left])
    graph.op("LEAKY_RELU", [left], [leaky])
    graph.op("LOGISTIC", [source], [right])
    graph.op("ADD", [leaky, right], [joined], schema.AddOptionsT())
    found = predict(graph.model(tmp_path, [source], [joined]))
    assert [op.mapped for op in found.ops] == [True, False, True, False]
    assert found.ops[3].reason == BEHIND


def test_a_graph_that_runs_in_a_circle_is_answered(tmp_path: Path) -> None:
    graph = GraphBuilder()
    first, second = graph.tensor(1, 8), graph.tensor(1, 8)
    graph.op("RELU", [second], [first])
    graph.op("TANH", [first], [second])
    model = graph.model(tmp_path, [], [second])
    assert predict(model).ops_mapped == 0
    assert predict(model, many_subgraphs=True).ops_mapped == 0
