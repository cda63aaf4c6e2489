"""Which operators the Edge TPU takes: Coral's table of supported operations with its limitations, and what logs of the
compiler that people published show beyond it. A rule looks at one operator alone; partition.py looks at the graph.

Sources: https://coral.ai/docs/edgetpu/models-intro/#supported-operations; google-coral/edgetpu issues 25 (weights that are
no constants), 31 and 206 (resizing), 75 (rank), 356 and 433 (large reshapes and transposes), 700 (batches).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_runtime.toolchain.edgetpu import advice
from edge_runtime.toolchain.edgetpu.statuses import (
    DATA_TYPE,
    IMPRECISE,
    LIMITED,
    NOT_CONSTANT,
    RANK,
    UNSUPPORTED,
    VERSION,
)
from edge_runtime.toolchain.tflite import Model, Op, Tensor

MAX_SOFTMAX = 16_000
MAX_RELAID_BYTES = 5 * 2**19
"""Of a tensor that is laid out anew (RESHAPE, TRANSPOSE, resizing), which has to lie on the chip whole.

In published logs an EfficientDet-Lite0's reshapes of 1.3 MB map; those of a 640x640 SSD FPNLite, 3.5 MB, don't, nor does
UpSampling2D to 1024x1024x3, 3.1 MB.
"""
_EIGHT_BIT = ("int8", "uint8")
_INNERMOST = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one operator isn't mapped, in the compiler's words, and what to change."""

    reason: str
    advice: str


class OpView:
    """One operator with its tensors."""

    def __init__(self, model: Model, op: Op) -> None:
        self.op = op
        self.inputs = [model.tensors[index] if index >= 0 else None for index in op.inputs]
        self.outputs = [model.tensors[index] for index in op.outputs if index >= 0]

    def input(self, number: int) -> Tensor | None:
        """An input; None where it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def option(self, name: str, default: int = 0) -> int:
        """An option's number."""
        return int(getattr(self.op.options, name, default))

    @property
    def data(self) -> Tensor | None:
        """The first input that is computed, not constant."""
        return next((tensor for tensor in self.inputs if tensor is not None and not tensor.constant_bytes), self.input(0))


_NEEDED = {
    "CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0, 1), "TRANSPOSE_CONV": (0, 1, 2), "PRELU": (0, 1),
    "SPLIT": (0, 1), "UNIDIRECTIONAL_SEQUENCE_LSTM": (0, 2),
}
"""Inputs that an operator can't do without and that something here looks at; the first where nothing is said."""
Rule = Callable[[OpView], Refusal | None]


def is_complete(op: Op) -> bool:
    """Whether an operator of the table has the inputs it needs, and outputs: what the rules and the memory rest on."""
    if op.is_custom or op.name not in RULES:
        return True
    needed = _NEEDED.get(op.name, (0,))
    return all(number < len(op.inputs) and op.inputs[number] >= 0 for number in needed) and min(op.outputs, default=-1) >= 0


def refusal(model: Model, op: Op) -> Refusal | None:
    """Why the compiler leaves this operator on the CPU even in the best place; None where it would map it."""
    view = OpView(model, op)
    if op.name == "QUANTIZE" and view.data is not None and view.data.dtype == "float32":
        return Refusal(LIMITED, advice.FLOAT_INPUT)
    if (found := _data_type(view)) is not None:
        return found
    if op.is_custom or op.name not in RULES:
        return Refusal(UNSUPPORTED, advice.unsupported(op.name))
    return _rank(view) or RULES[op.name](view)


def _data_type(view: OpView) -> Refusal | None:
    """The data that flows has 8 bits. What is no data, such as a shape or the states of an LSTM, isn't looked at."""
    for tensor in (view.data, *view.outputs[:1]):
        if tensor is not None and tensor.dtype not in _EIGHT_BIT:
            return Refusal(DATA_TYPE, advice.data_type(view.op.name, tensor.dtype))
    return None


def _rank(view: OpView) -> Refusal | None:
    for tensor in (view.data, *view.outputs):
        if tensor is not None and any(size > 1 for size in tensor.shape[:-_INNERMOST]):
            batch = len(tensor.shape) == _INNERMOST + 1
            return Refusal(RANK, advice.BATCH if batch else advice.RANK)
    return None


def _anything(_view: OpView) -> Refusal | None:
    return None


def _convolution(view: OpView) -> Refusal | None:
    if view.option("dilationWFactor", 1) != view.option("dilationHFactor", 1):
        return Refusal(LIMITED, advice.DILATION)
    return _constant_weights(view)


def _constant_weights(view: OpView) -> Refusal | None:
    for number in (1, 2):
        tensor = view.input(number)
        if tensor is not None and not tensor.constant_bytes:
            return Refusal(NOT_CONSTANT, advice.NOT_CONSTANT)
    return None


def _transposed_convolution(view: OpView) -> Refusal | None:
    weights = view.input(1)
    return None if weights is not None and weights.constant_bytes else Refusal(NOT_CONSTANT, advice.NOT_CONSTANT)


def _fully_connected(view: OpView) -> Refusal | None:
    weights, output = view.input(1), view.outputs[0] if view.outputs else None
    if (found := _constant_weights(view)) is not None:
        return found
    if weights is not None and len(weights.scales) > 1:
        return Refusal(LIMITED, advice.DENSE_PER_CHANNEL)
    if view.option("weightsFormat") != 0:
        return Refusal(LIMITED, advice.DENSE_FORMAT)
    if output is not None and math.prod(output.shape[:-1]) > 1:
        return Refusal(VERSION if view.option("keepNumDims") else LIMITED, advice.DENSE_OF_MANY)
    return None


def _no_activation(view: OpView) -> Refusal | None:
    return Refusal(LIMITED, advice.FUSED) if view.option("fusedActivationFunction") else None


def _concatenation(view: OpView) -> Refusal | None:
    if (found := _no_activation(view)) is not None:
        return found
    if any(tensor is not None and tensor.constant_bytes for tensor in view.inputs) and len(view.inputs) > 2:
        return Refusal(LIMITED, advice.CONSTANT_CONCATENATION)
    return _off_the_batch(view, view.option("axis"))


def _off_the_batch(view: OpView, *axes: int) -> Refusal | None:
    """Refuses an axis that is that of the batch, in a tensor that has one: of two dimensions or more."""
    rank = len(view.outputs[0].shape) if view.outputs else 0
    if rank > 1 and any(axis % rank == 0 for axis in axes):
        return Refusal(LIMITED, advice.BATCH_AXIS)
    return None


def _split(view: OpView) -> Refusal | None:
    axis = view.input(0)
    return _off_the_batch(view, *(axis.values if axis else ()))


def _pack(view: OpView) -> Refusal | None:
    return Refusal(LIMITED, advice.BATCH_AXIS) if view.option("axis") == 0 else None


def _pad(view: OpView) -> Refusal | None:
    paddings = view.input(1)
    if paddings is None or not paddings.constant_bytes:
        return Refusal(NOT_CONSTANT, advice.NOT_CONSTANT)
    return Refusal(LIMITED, advice.BATCH_AXIS) if any(paddings.values[:2]) else None


def _prelu(view: OpView) -> Refusal | None:
    alpha = view.input(1)
    return Refusal(LIMITED, advice.PRELU) if alpha is not None and any(size > 1 for size in alpha.shape[:-1]) else None


def _reduction(view: OpView) -> Refusal | None:
    data, axes = view.input(0), view.input(1)
    if data is None or axes is None or not axes.constant_bytes:
        return Refusal(NOT_CONSTANT, advice.NOT_CONSTANT)
    rank = max(1, len(data.shape))
    reduced = {axis % rank for axis in axes.values}
    if rank > 1 and 0 in reduced:
        return Refusal(LIMITED, advice.BATCH_AXIS)
    if view.op.name == "MEAN" and rank - 1 in reduced and data.shape[-1] % 4:
        return Refusal(LIMITED, advice.MEAN_OF_CHANNELS)
    return None


def _large(view: OpView) -> Refusal | None:
    if view.outputs and math.prod(view.outputs[0].shape) > MAX_RELAID_BYTES:
        return Refusal(LIMITED, advice.LARGE)
    return None


def _resize(view: OpView) -> Refusal | None:
    data = view.data
    if data is None or not view.outputs or len(data.shape) != 4 or len(view.outputs[0].shape) != 4:
        return Refusal(LIMITED, advice.RESIZE)
    before, after = data.shape[1:3], view.outputs[0].shape[1:3]
    if before == (1, 1) and after != (1, 1):
        return Refusal(IMPRECISE, advice.RESIZE_FROM_ONE)
    return _large(view) and Refusal(LIMITED, advice.RESIZE)


def _softmax(view: OpView) -> Refusal | None:
    if view.data is None:
        return None
    *outer, inner = view.data.shape or (1,)
    return Refusal(LIMITED, advice.SOFTMAX) if math.prod(outer) > 1 or inner > MAX_SOFTMAX else None


def _squeeze(view: OpView) -> Refusal | None:
    """Only leading dimensions of 1 may go."""
    before, after = (view.data.shape if view.data else ()), (view.outputs[0].shape if view.outputs else ())
    kept = before[len(before) - len(after):]
    return None if kept == after or math.prod(before) == max(before, default=1) else Refusal(LIMITED, advice.SQUEEZE)


def _strided_slice(view: OpView) -> Refusal | None:
    strides = view.input(3)
    if strides is None or not strides.constant_bytes:
        return Refusal(NOT_CONSTANT, advice.NOT_CONSTANT)
    masks = view.option("ellipsisMask") or view.option("newAxisMask")
    return Refusal(LIMITED, advice.STRIDED_SLICE) if masks or any(stride != 1 for stride in strides.values) else None


RULES: Mapping[str, Rule] = {
    "ADD": _anything, "AVERAGE_POOL_2D": _no_activation, "CONCATENATION": _concatenation, "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution, "EXPAND_DIMS": _anything, "FULLY_CONNECTED": _fully_connected,
    "L2_NORMALIZATION": _anything, "LOGISTIC": _anything, "LSTM": _anything, "MAXIMUM": _anything,
    "MAX_POOL_2D": _no_activation, "MEAN": _reduction, "MINIMUM": _anything, "MUL": _anything, "PACK": _pack, "PAD": _pad,
    "PRELU": _prelu, "QUANTIZE": _anything, "REDUCE_MAX": _reduction, "REDUCE_MIN": _reduction, "RELU": _anything,
    "RELU6": _anything, "RELU_N1_TO_1": _anything, "RESHAPE": _large, "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize, "RSQRT": _anything, "SLICE": _anything, "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _anything, "SPLIT": _split, "SQUARED_DIFFERENCE": _anything, "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice, "SUB": _anything, "SUM": _reduction, "TANH": _anything, "TRANSPOSE": _large,
    "TRANSPOSE_CONV": _transposed_convolution, "UNIDIRECTIONAL_SEQUENCE_LSTM": _anything,
}
"""What is in Coral's table, by TFLite's names."""
