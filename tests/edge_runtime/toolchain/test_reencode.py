"""A uint8 network in int8: run beside the one that it was made from, by the interpreter that serves it."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_runtime.toolchain.reencode import Reencoded, reencode
from edge_runtime.toolchain.tflite import Model, read_model
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import FILES, kept
from tests.edge_runtime.toolchain.uint8_networks import (
    CHANNELS,
    SIDE,
    ZERO_POINT,
    Network,
    convolution,
    dense,
    depthwise,
)

PAIRS = FILES / "pairs"


def one_operator(name: str, options: Any = None, *, sources: int = 1, target: Sequence[int] = (1, SIDE, SIDE, CHANNELS),
                 target_scale: float = 0.05, target_zero: int = ZERO_POINT, constants: Sequence[Any] = ()) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        network = Network()
        taken = [network.value(1, SIDE, SIDE, CHANNELS) for _ in range(sources)]
        given = network.value(*target, scale=target_scale, zero_point=target_zero)
        extra = [network.constant(*np.shape(values), dtype="int32", values=np.ravel(values).tolist()) for values in constants]
        network.op(name, [*taken, *extra], [given], options)
        return network.written(folder, taken, [given])

    return make


def added_to_a_constant(folder: Path) -> Path:
    network = Network()
    source, target = network.value(1, SIDE, SIDE, CHANNELS), network.value(1, SIDE, SIDE, CHANNELS, scale=0.1)
    network.op("ADD", [source, network.weights(1, 1, 1, CHANNELS)], [target], schema.AddOptionsT())
    return network.written(folder, [source], [target])


def pooling(name: str) -> Callable[[Path], Path]:
    options = schema.Pool2DOptionsT(strideW=2, strideH=2, filterWidth=2, filterHeight=2)
    return one_operator(name, options, target=(1, SIDE // 2, SIDE // 2, CHANNELS))


OPERATORS: dict[str, Callable[[Path], Path]] = {
    "CONV_2D": convolution, "DEPTHWISE_CONV_2D": depthwise, "FULLY_CONNECTED": dense, "ADD of a constant": added_to_a_constant,
    "FULLY_CONNECTED without a bias": lambda folder: dense(folder, bias=False),
    "ADD": one_operator("ADD", schema.AddOptionsT(), sources=2, target_scale=0.1),
    "SUB": one_operator("SUB", schema.SubOptionsT(), sources=2, target_scale=0.1),
    "MUL": one_operator("MUL", schema.MulOptionsT(), sources=2, target_scale=0.2),
    "AVERAGE_POOL_2D": pooling("AVERAGE_POOL_2D"), "MAX_POOL_2D": pooling("MAX_POOL_2D"),
    "MEAN": one_operator("MEAN", schema.ReducerOptionsT(keepDims=False), target=(1, CHANNELS), constants=[[1, 2]]),
    "CONCATENATION": one_operator("CONCATENATION", schema.ConcatenationOptionsT(axis=3), sources=2, target=(1, SIDE, SIDE, 2 * CHANNELS)),
    "RESHAPE": one_operator("RESHAPE", schema.ReshapeOptionsT(newShape=[1, SIDE * SIDE * CHANNELS]), target=(1, SIDE * SIDE * CHANNELS)),
    "SOFTMAX": one_operator("SOFTMAX", schema.SoftmaxOptionsT(beta=1.0), target_scale=1 / 256, target_zero=0),
    "LOGISTIC": one_operator("LOGISTIC", target_scale=1 / 256, target_zero=0),
    "PAD": one_operator("PAD", schema.PadOptionsT(), target=(1, SIDE + 2, SIDE + 3, CHANNELS), constants=[[[0, 0], [1, 1], [2, 1], [0, 0]]]),
    "RESIZE_BILINEAR": one_operator("RESIZE_BILINEAR", schema.ResizeBilinearOptionsT(), target=(1, 9, 11, CHANNELS), constants=[[9, 11]]),
    "RESIZE_NEAREST_NEIGHBOR": one_operator(
        "RESIZE_NEAREST_NEIGHBOR", schema.ResizeNearestNeighborOptionsT(), target=(1, 9, 11, CHANNELS), constants=[[9, 11]]),
    "SQUEEZE": one_operator("SQUEEZE", schema.SqueezeOptionsT(squeezeDims=[0]), target=(SIDE, SIDE, CHANNELS)),
    "RELU": one_operator("RELU"), "RELU6": one_operator("RELU6", target_scale=0.03, target_zero=0),
    "QUANTIZE": one_operator("QUANTIZE", schema.QuantizeOptionsT(), target_scale=0.08, target_zero=100),
}


def written(made: Reencoded, folder: Path) -> Path:
    path = folder / "int8.tflite"
    path.write_bytes(made.content)
    return path


def interpreter(path: Path) -> Interpreter:
    found = Interpreter(model_path=str(path), num_threads=1)
    found.allocate_tensors()
    return found


def answers(path: Path, inputs: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.int32]]:
    return [values.astype(np.int32) for values in raw_answers(path, inputs)]


def raw_answers(path: Path, inputs: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.generic]]:
    network = interpreter(path)
    for tensor, values in zip(network.get_input_details(), inputs, strict=True):
        network.set_tensor(tensor["index"], values)
    network.invoke()
    return [network.get_tensor(tensor["index"]) for tensor in network.get_output_details()]


def steps_apart(path: Path, made: Reencoded, folder: Path) -> int:
    """The most that an output differs in twenty runs, in steps."""
    random, most = np.random.default_rng(1), 0
    other = written(made, folder)
    for _ in range(20):
        inputs = [random.integers(0, 256, tensor["shape"], np.uint8) for tensor in interpreter(path).get_input_details()]
        pairs = zip(answers(path, inputs), answers(other, inputs), strict=True)
        most = max(most, *(int(np.abs(one - another).max()) for one, another in pairs))
    return most


def dtypes_inside(path: Path) -> set[str]:
    model = read_model(path)
    ends = {*model.inputs, *model.outputs}
    return {tensor.dtype for tensor in model.tensors if tensor.scales and tensor.index not in ends}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_the_same_within_a_step_of_rounding(name: str, tmp_path: Path) -> None:
    path = OPERATORS[name](tmp_path)
    made = reencode(path)
    assert steps_apart(path, made, tmp_path) <= 1
    assert made.rounded == 0
    assert "uint8" not in dtypes_inside(written(made, tmp_path))


@pytest.mark.parametrize(("name", "options", "dtype", "shape", "constants"), [
    ("DEQUANTIZE", None, "float32", (1, SIDE, SIDE, CHANNELS), []),
    ("ARG_MAX", schema.ArgMaxOptionsT(outputType=schema.TensorType.INT64), "int64", (1, SIDE, SIDE), [3]),
])
def test_values_of_other_types_come_out_as_before(
    name: str, options: Any, dtype: str, shape: Sequence[int], constants: Sequence[int], tmp_path: Path,
) -> None:
    network = Network()
    source, target = network.value(1, SIDE, SIDE, CHANNELS), network.tensor(*shape, dtype=dtype)
    axes = [network.constant(dtype="int32", values=[axis]) for axis in constants]
    network.op(name, [source, *axes], [target], options)
    path = network.written(tmp_path, [source], [target])
    inputs = [np.random.default_rng(3).integers(0, 256, (1, SIDE, SIDE, CHANNELS), np.uint8)]
    (before,), (after,) = raw_answers(path, inputs), raw_answers(written(reencode(path), tmp_path), inputs)
    assert before.dtype == after.dtype == dtype
    assert np.array_equal(before, after)


def test_parts_of_a_split_are_the_same(tmp_path: Path) -> None:
    network = Network()
    axis = network.constant(dtype="int32", values=[3])
    source, parts = network.value(1, SIDE, SIDE, CHANNELS), [network.value(1, SIDE, SIDE, CHANNELS // 2) for _ in range(2)]
    network.op("SPLIT", [axis, source], parts, schema.SplitOptionsT(numSplits=2))
    path = network.written(tmp_path, [source], parts)
    assert steps_apart(path, reencode(path), tmp_path) == 0


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_of_weights_that_fit_not_a_bit_of_the_answer_changes(name: str, tmp_path: Path) -> None:
    path = OPERATORS[name](tmp_path)
    assert steps_apart(path, reencode(path), tmp_path) == 0


def test_a_channel_that_reaches_too_far_is_rounded_anew_and_the_others_stay(tmp_path: Path) -> None:
    path = convolution(tmp_path, farthest=135)
    made = reencode(path)
    assert (made.channels, made.rounded) == (8, 1)
    inputs = [np.random.default_rng(2).integers(0, 256, (1, SIDE, SIDE, CHANNELS), np.uint8)]
    (before,), (after,) = answers(path, inputs), answers(written(made, tmp_path), inputs)
    assert np.array_equal(before[..., 1:], after[..., 1:])
    assert 0 < np.abs(before[..., 0] - after[..., 0]).max() <= 3


def test_a_weight_just_too_far_is_cut_off_rather_than_all_of_its_channel_rounded(tmp_path: Path) -> None:
    model = read_model(written(reencode(convolution(tmp_path, farthest=128)), tmp_path))
    weights = next(tensor for tensor in model.tensors if tensor.shape == (8, 3, 3, CHANNELS))
    assert len(set(weights.scales)) == 1, "its steps are as wide as before"
    assert (weights.dtype, set(weights.zero_points), weights.quantised_axis) == ("int8", {0}, 0)


def test_the_channels_of_a_depthwise_convolution_are_its_last_axis(tmp_path: Path) -> None:
    made = reencode(depthwise(tmp_path, farthest=135))
    model = read_model(written(made, tmp_path))
    weights = next(tensor for tensor in model.tensors if tensor.shape == (1, 3, 3, CHANNELS))
    assert (weights.quantised_axis, [scale > 0.0101 for scale in weights.scales]) == (3, [True, False, False, False])
    assert made.rounded == 1


def test_a_dense_layer_keeps_one_scale_which_old_interpreters_need(tmp_path: Path) -> None:
    path = dense(tmp_path, farthest=135)
    made = reencode(path)
    weights = next(tensor for tensor in read_model(written(made, tmp_path)).tensors if tensor.shape == (5, 32))
    assert len(weights.scales) == 1
    assert (made.channels, made.rounded) == (1, 1)
    assert steps_apart(path, made, tmp_path) <= 3


def test_whoever_fed_the_model_goes_on_as_before(tmp_path: Path) -> None:
    path = convolution(tmp_path)
    before, after = (read_model(file) for file in (path, written(reencode(path), tmp_path)))

    def ends(model: Model) -> list[tuple[object, ...]]:
        return [(tensor.index, tensor.name, tensor.dtype, tensor.shape, tensor.scales, tensor.zero_points)
                for tensor in (model.tensors[index] for index in (*model.inputs, *model.outputs))]

    assert ends(after) == ends(before)
    assert [op.name for op in after.ops] == ["QUANTIZE", "CONV_2D", "QUANTIZE"]
    assert len({tensor.name for tensor in after.tensors}) == len(after.tensors)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = convolution(tmp_path, farthest=135)
    assert reencode(path) == reencode(path)


@pytest.mark.parametrize("name", ["deeplabv3_mnv2_dm05_pascal_quant", "split_concat"])
def test_graphs_published_for_the_coral_are_taken_over_whole(name: str, tmp_path: Path) -> None:
    """Without their weights and scales; benchmarks/serving.py runs a real one."""
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(gzip.decompress((PAIRS / f"{name}.tflite.gz").read_bytes()))
    other = written(reencode(path), tmp_path)
    assert "uint8" not in dtypes_inside(other)
    for one, another in zip(interpreter(path).get_output_details(), interpreter(other).get_output_details(), strict=True):
        assert (one["name"], one["dtype"], one["shape"].tolist()) == (another["name"], another["dtype"], another["shape"].tolist())


def _custom(folder: Path) -> Path:
    network = Network()
    source, target = network.value(1, 4), network.value(1, 4)
    network.op("PosenetDecoderOp", [source], [target])
    return network.written(folder, [source], [target])


def _computed_weights(folder: Path) -> Path:
    network = Network()
    source, weights, target = network.value(1, 32), network.value(5, 32), network.value(1, 5)
    network.op("FULLY_CONNECTED", [source, weights], [target], schema.FullyConnectedOptionsT())
    return network.written(folder, [source, weights], [target])


def _uneven_parts(folder: Path) -> Path:
    network = Network()
    parts = [network.value(1, 4), network.value(1, 4, scale=0.1)]
    target = network.value(1, 8)
    network.op("CONCATENATION", parts, [target], schema.ConcatenationOptionsT(axis=1))
    return network.written(folder, parts, [target])


def _uneven_constant(folder: Path) -> Path:
    network = Network()
    source, target = network.value(1, 4), network.value(1, 8)
    network.op("CONCATENATION", [source, network.weights(1, 4)], [target], schema.ConcatenationOptionsT(axis=1))
    return network.written(folder, [source], [target])


def _several_subgraphs(folder: Path) -> Path:
    network = Network()
    path = folder / "network.tflite"
    path.write_bytes(network.data([network.value(1, 4)], [], subgraphs=2))
    return path


def _no_weights(folder: Path) -> Path:
    network = Network()
    source, target = network.value(1, 32), network.value(1, 5)
    network.op("FULLY_CONNECTED", [source], [target], schema.FullyConnectedOptionsT())
    return network.written(folder, [source], [target])


def _short_weights(folder: Path) -> Path:
    network = Network()
    source, target, weights = network.value(1, 32), network.value(1, 5), network.weights(5, 32)
    network.buffers[network.tensors[weights].buffer].data = np.zeros(7, np.uint8)
    network.op("FULLY_CONNECTED", [source, weights], [target], schema.FullyConnectedOptionsT())
    return network.written(folder, [source], [target])


@pytest.mark.parametrize(("make", "told"), [
    (_custom, r"PosenetDecoderOp \(operator 0\) is none of the operators that it knows"),
    (one_operator("CUMSUM"), r"CUMSUM \(operator 0\) is none of the operators"),
    (_computed_weights, r"FULLY_CONNECTED \(operator 0\) computes its weights"),
    (_uneven_parts, "CONCATENATION .* brings its inputs to another scale"),
    (_uneven_constant, "CONCATENATION .* brings its inputs to another scale"),
    (one_operator("LOGISTIC", target_scale=1 / 200, target_zero=0), "LOGISTIC .* other steps than 256ths"),
    (_several_subgraphs, "it has 2 subgraphs"),
    (lambda folder: kept("relu", folder), "its network is int8 already"),
    (lambda folder: kept("float32", folder), "it isn't quantised to uint8"),
    (_short_weights, "an operator hasn't the tensors that it needs"),
    (_no_weights, "an operator hasn't the tensors that it needs"),
    (lambda folder: folder, "it is a folder"),
])
def test_what_can_not_be_taken_over_is_refused_by_name(make: Callable[[Path], Path], told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"\.tflite .*{told}|{told}"):
        reencode(make(tmp_path))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_encoded_anew_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = convolution(tmp_path, farthest=135)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    told = path.name
    try:
        reencode(path)
    except ValueError as error:
        told = str(error)
    assert path.name in told
