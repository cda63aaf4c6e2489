"""What a TFLite file says about the work in it, read without an interpreter and without numpy.

A TFLite file is a FlatBuffer (https://flatbuffers.dev/internals/); the numbers of fields, types and operators are those of
TensorFlow's `lite/schema/schema.fbs`. Only the first subgraph is read: it is the model.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.flatbuffer import DAMAGED, Table, root_of

CUSTOM_OP = "edgetpu-custom-op"
"""The operator that stands in a compiled file for what runs on the Edge TPU."""

_CONV_2D, _DEPTHWISE_CONV_2D, _FULLY_CONNECTED, _TRANSPOSE_CONV = 3, 4, 9, 67
_ITEM_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 11: 16, 12: 8, 15: 4, 16: 2}
"""TensorType to the bytes of one item; those without a fixed size count nothing."""


@dataclass(frozen=True, slots=True)
class Graph:
    """`macs`: multiplications with addition that one run takes, in convolutions and fully connected layers."""

    parameter_bytes: int
    input_bytes: int
    output_bytes: int
    macs: int


def read_graph(path: Path) -> Graph:
    """Reads a TFLite file. Raises ValueError where it is none, or ends too early: tflite-runtime 2.14 doesn't check that
    before it reads, and kills the process.
    """
    try:
        data = path.read_bytes()
        return _graph(root_of(data, b"TFL3"))
    except (OSError, *DAMAGED) as error:
        raise ValueError(f"{path.name} can't be loaded: it is no TFLite file, or not the whole of one") from error


@dataclass(frozen=True, slots=True)
class _Tensor:
    shape: list[int]
    size_bytes: int
    constant_bytes: int


def _graph(model: Table) -> Graph:
    codes = [max(code.number(0, "<b"), code.number(3, "<i")) for code in model.tables(1)]
    constants = [buffer.length(0) or buffer.number(2, "<Q") for buffer in model.tables(4)]
    graph = next(model.tables(2), None)
    if graph is None:
        raise ValueError("no subgraph")
    tensors = []
    for table in graph.tables(0):
        shape = table.numbers(0)
        size_bytes = math.prod(shape) * _ITEM_BYTES.get(table.number(1, "<b"), 0)
        tensors.append(_Tensor(shape, size_bytes, constants[table.number(2, "<I")]))
    macs = sum(
        _macs(codes[operator.number(0, "<I")], [tensors[i] for i in operator.numbers(1) if i >= 0],
              [tensors[i] for i in operator.numbers(2)])
        for operator in graph.tables(3)
    )
    return Graph(
        parameter_bytes=sum(tensor.constant_bytes for tensor in tensors),
        input_bytes=sum(tensors[i].size_bytes for i in graph.numbers(1)),
        output_bytes=sum(tensors[i].size_bytes for i in graph.numbers(2)),
        macs=macs,
    )


def _macs(code: int, inputs: list[_Tensor], outputs: list[_Tensor]) -> int:
    """A filter's shape is (out, height, width, in), for a depthwise one (1, height, width, out)."""
    if code in {_CONV_2D, _FULLY_CONNECTED}:
        return math.prod(outputs[0].shape) * math.prod(inputs[1].shape[1:])
    if code == _DEPTHWISE_CONV_2D:
        return math.prod(outputs[0].shape) * math.prod(inputs[1].shape[1:3])
    if code == _TRANSPOSE_CONV:
        return math.prod(inputs[2].shape) * math.prod(inputs[1].shape[:3])
    return 0
