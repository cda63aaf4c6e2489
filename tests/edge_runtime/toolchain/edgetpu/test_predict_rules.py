"""One operator at a time: mapped, or why not, in the compiler's words."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.toolchain.edgetpu.predict import OpPrediction, predict
from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder

MAPPED = "Mapped to Edge TPU"
LIMITED = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
RANK = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
NOT_CONSTANT = "Filter, bias, or other param is not constant at compile-time"
DATA_TYPE = "Operation is working on an unsupported data type"
UNSUPPORTED = "Operation not supported"
Made = Callable[[GraphBuilder, int], int]
"""Adds an operator behind a tensor and gives its output."""


def judged(folder: Path, shape: tuple[int, ...], made: Made, dtype: str = "int8") -> OpPrediction:
    """The prediction for the last operator of a graph: a RELU, so that the model has something mapped, and this one."""
    graph = GraphBuilder()
    source = graph.tensor(1, 8)
    graph.op("RELU", [source], [graph.tensor(1, 8)])
    data = graph.tensor(*shape, dtype=dtype)
    output = made(graph, data)
    return predict(graph.model(folder, [source, data], [output]), many_subgraphs=True).ops[-1]


def plain(name: str, *shape: int, options: object = None, constants: tuple[tuple[int, ...], ...] = (), dtype: str = "int8") -> Made:
    """An operator with constants of integers as further inputs, and an output of this shape."""
    def made(graph: GraphBuilder, data: int) -> int:
        further = [graph.constant(len(values), dtype="int32", values=values) for values in constants]
        output = graph.tensor(*shape, dtype=dtype)
        graph.op(name, [data, *further], [output], options)
        return output
    return made


def convolution(dilation: int = 1, *, is_constant: bool = True) -> Made:
    """A CONV_2D whose dilation differs between x and y, or whose weights are fed in."""
    def made(graph: GraphBuilder, data: int) -> int:
        weights = graph.constant(4, 3, 3, 4) if is_constant else graph.tensor(4, 3, 3, 4)
        output = graph.tensor(1, 8, 8, 4)
        options = schema.Conv2DOptionsT(dilationWFactor=dilation, dilationHFactor=1)
        graph.op("CONV_2D", [data, weights, graph.constant(4, dtype="int32")], [output], options, 3)
        return output
    return made


def dense(*shape: int, keeps: bool = False) -> Made:
    """A FULLY_CONNECTED to this shape."""
    def made(graph: GraphBuilder, data: int) -> int:
        output = graph.tensor(*shape)
        graph.op("FULLY_CONNECTED", [data, graph.constant(4, 8), -1], [output], schema.FullyConnectedOptionsT(keepNumDims=keeps), 4)
        return output
    return made


def prelu(*alpha: int) -> Made:
    """A PRELU with slopes of this shape."""
    def made(graph: GraphBuilder, data: int) -> int:
        output = graph.tensor(1, 8, 8, 4)
        graph.op("PRELU", [data, graph.constant(*alpha)], [output])
        return output
    return made


def split(axis: int) -> Made:
    """A SPLIT in two along an axis of (1, 8, 8, 4)."""
    def made(graph: GraphBuilder, data: int) -> int:
        shape = [1, 8, 8, 4]
        shape[axis] = max(1, shape[axis] // 2)
        outputs = [graph.tensor(*shape), graph.tensor(*shape)]
        graph.op("SPLIT", [graph.constant(1, dtype="int32", values=[axis]), data], outputs, schema.SplitOptionsT(numSplits=2))
        return outputs[0]
    return made


def strided(stride: int, **masks: int) -> Made:
    """A STRIDED_SLICE of a vector of 8."""
    return plain("STRIDED_SLICE", 1, 8, options=schema.StridedSliceOptionsT(**masks), constants=((0, 0), (1, 8), (1, stride)))


MAP = (1, 8, 8, 4)
CASES: dict[str, tuple[tuple[int, ...], Made, str]] = {
    "a batch of two": ((2, 8, 8, 4), plain("RELU", 2, 8, 8, 4), RANK),
    "five dimensions": ((1, 2, 8, 8, 4), plain("RELU", 1, 2, 8, 8, 4), RANK),
    "five dimensions that are ones": ((1, 1, 8, 8, 4), plain("RELU", 1, 1, 8, 8, 4), MAPPED),
    "weights that are fed in": (MAP, convolution(is_constant=False), NOT_CONSTANT),
    "equal dilation": (MAP, convolution(), MAPPED),
    "unequal dilation": (MAP, convolution(2), LIMITED),
    "a dense layer": ((1, 8), dense(1, 4), MAPPED),
    "a dense layer on many rows": ((6, 8), dense(6, 4), LIMITED),
    "a dense layer on each step": ((1, 6, 8), dense(1, 6, 4, keeps=True), "Operation version not supported"),
    "a pool": (MAP, plain("MAX_POOL_2D", 1, 4, 4, 4, options=schema.Pool2DOptionsT()), MAPPED),
    "a pool with a relu in it": (MAP, plain("MAX_POOL_2D", 1, 4, 4, 4, options=schema.Pool2DOptionsT(fusedActivationFunction=1)), LIMITED),
    "padding of the picture": (MAP, plain("PAD", 1, 9, 9, 4, constants=((0, 0, 0, 1, 0, 1, 0, 0),)), MAPPED),
    "padding of the batch": (MAP, plain("PAD", 1, 8, 8, 4, constants=((0, 1, 0, 0, 0, 0, 0, 0),)), LIMITED),
    "one slope for each channel": (MAP, prelu(1, 1, 4), MAPPED),
    "a slope for each place": (MAP, prelu(8, 8, 4), LIMITED),
    "the mean of a map": (MAP, plain("MEAN", 1, 4, constants=((1, 2),)), MAPPED),
    "the mean of the batch": (MAP, plain("MEAN", 8, 8, 4, constants=((0,),)), LIMITED),
    "the mean of 4 channels": (MAP, plain("MEAN", 1, 8, 8, constants=((3,),)), MAPPED),
    "the mean of 6 channels": ((1, 8, 8, 6), plain("MEAN", 1, 8, 8, constants=((-1,),)), LIMITED),
    "softmax of 16,000 classes": ((1, 16_000), plain("SOFTMAX", 1, 16_000), MAPPED),
    "softmax of 16,001 classes": ((1, 16_001), plain("SOFTMAX", 1, 16_001), LIMITED),
    "softmax at each place": (MAP, plain("SOFTMAX", *MAP), LIMITED),
    "a split of channels": (MAP, split(3), MAPPED),
    "a split of the batch": (MAP, split(0), LIMITED),
    "stacking along the batch": (MAP, plain("PACK", 1, 1, 8, 8, 4, options=schema.PackOptionsT(axis=0)), LIMITED),
    "every value of a vector": ((1, 8), strided(1), MAPPED),
    "every second value": ((1, 8), strided(2), LIMITED),
    "a new axis": ((1, 8), strided(1, newAxisMask=1), LIMITED),
    "leading ones squeezed": ((1, 1, 8, 4), plain("SQUEEZE", 8, 4), MAPPED),
    "an inner one squeezed": ((1, 8, 1, 4), plain("SQUEEZE", 8, 4), LIMITED),
    "doubling a map": (MAP, plain("RESIZE_BILINEAR", 1, 16, 16, 4, constants=((16, 16),)), MAPPED),
    "spreading one pixel": ((1, 1, 1, 4), plain("RESIZE_BILINEAR", 1, 8, 8, 4, constants=((8, 8),)), "Image-interpolation layer won't run precisely enough on Edge TPU"),
    "resizing to a large map": ((1, 256, 256, 32), plain("RESIZE_NEAREST_NEIGHBOR", 1, 512, 512, 32, constants=((512, 512),)), LIMITED),
    "a large reshape": ((1, 80, 80, 540), plain("RESHAPE", 1, 38_400, 90, constants=((1, 38_400, 90),)), LIMITED),
    "a reshape of an EfficientDet-Lite0": ((1, 40, 40, 810), plain("RESHAPE", 1, 14_400, 90, constants=((1, 14_400, 90),)), MAPPED),
    "argmax": (MAP, plain("ARG_MAX", 1, 8, 8, constants=((3,),), dtype="int64"), DATA_TYPE),
    "hard swish": (MAP, plain("HARD_SWISH", *MAP), UNSUPPORTED),
    "a custom operator": (MAP, plain("MyOperator", *MAP), UNSUPPORTED),
    "detections": (MAP, plain("TFLite_Detection_PostProcess", 1, 10, 4, dtype="float32"), DATA_TYPE),
}


@pytest.mark.parametrize("case", CASES)
def test_each_operator_gets_the_compilers_status_and_where_it_stays_behind_advice(case: str, tmp_path: Path) -> None:
    shape, made, reason = CASES[case]
    found = judged(tmp_path, shape, made)
    assert found.reason == reason
    assert found.mapped == (reason == MAPPED)
    assert bool(found.advice) == (reason != MAPPED)


def test_sixteen_bits_are_an_unsupported_data_type(tmp_path: Path) -> None:
    found = judged(tmp_path, (1, 8), plain("RELU", 1, 8, dtype="int16"), dtype="int16")
    assert (found.reason, "8 bits" in found.advice) == (DATA_TYPE, True)


def test_concatenation_along_the_batch_stays_on_the_cpu(tmp_path: Path) -> None:
    def made(graph: GraphBuilder, data: int) -> int:
        output = graph.tensor(1, 8, 8, 8)
        graph.op("CONCATENATION", [data, graph.tensor(*MAP)], [output], schema.ConcatenationOptionsT(axis=0))
        return output

    assert judged(tmp_path, MAP, made).reason == LIMITED
