"""A network quantised to uint8 written anew in int8: TensorFlow 1 and the models published for the Coral have uint8, and CPUs with dot
products of int8 (VNNI, Arm's SDOT) run int8 1.5 to 1.9 times as fast (benchmarks/reencoded.py).

TFLite's int8 is uint8 with every value and zero point 128 lower: activations and constants keep their meaning to the bit. Weights alone
must lie around zero, from -127 to 127 steps of their scale. Those of nearly all output channels do once their zero point is taken off. A
channel that reaches farther is rounded anew to a wider step of its own, or cut off, whichever is nearer to its weights. Dense layers have
one scale for all channels, as the kernels of older interpreters want it, so there a single far weight rounds all of them.

The ends stay uint8, under the same names and signatures, with a QUANTIZE each: whoever fed the model goes on as before.
https://ai.google.dev/edge/litert/models/quantization_spec
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_runtime.toolchain.attach import TFLITE
from edge_runtime.toolchain.tflite import Model, Op, read_model

_WEIGHTS, _BIAS = 1, 2
"""Places among an operator's inputs."""
_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": None}
"""Operators with weights, and the axis of their output channels; None: one scale for all."""
_VERSIONS = {
    "ADD": 2, "ARG_MAX": 2, "AVERAGE_POOL_2D": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2,
    "FULLY_CONNECTED": 4, "LOGISTIC": 2, "MAX_POOL_2D": 2, "MEAN": 2, "MUL": 2, "PAD": 2, "QUANTIZE": 2, "RELU": 2, "RELU6": 2,
    "RESHAPE": 1, "RESIZE_BILINEAR": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "SOFTMAX": 2, "SPLIT": 2, "SQUEEZE": 1, "SUB": 2,
}
"""The operators that it knows, and their first version with int8."""
_SAME_SCALE = frozenset({"CONCATENATION", "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD"})
"""Their int8 kernels don't bring inputs to the output's scale, as those of uint8 may."""
_SHARES = frozenset({"SOFTMAX", "LOGISTIC"})
"""Their int8 kernels give nothing but 256ths, from -128."""
_MOST = 127
_MIDDLE = 128


@dataclass(frozen=True, slots=True)
class Reencoded:
    """The new file. `rounded` of its weights' `channels` (all of a dense layer are one) aren't the very same weights any more."""

    content: bytes
    channels: int
    rounded: int


def reencode(path: Path) -> Reencoded:
    """The uint8 network of a TFLite file in int8. The same file gives the same bytes.

    Raises ValueError, naming the file and the operator, for what is no TFLite file, isn't quantised to uint8, or has an operator that
    int8 can't take over as it is.
    """
    model = read_model(path)
    try:
        why = _against(model)
        if not why:
            return _Rewriter(schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0), model).rewrite()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise ValueError(f"{path.name} can't be encoded anew in int8: an operator hasn't the tensors that it needs") from error
    raise ValueError(f"{path.name} can't be encoded anew in int8: {why}")


def _against(model: Model) -> str:
    """Why not; nothing where it can be."""
    dtypes = {tensor.dtype for tensor in model.tensors if tensor.scales}
    if model.subgraphs > 1:
        return f"it has {model.subgraphs} subgraphs, and one is expected"
    if "int8" in dtypes:
        return "its network is int8 already"
    if "uint8" not in dtypes:
        return "it isn't quantised to uint8"
    return next((f"{op.name} (operator {op.index}) {why}" for op in model.ops for why in _against_op(op, model)), "")


def _against_op(op: Op, model: Model) -> Iterator[str]:
    taken, given = ([model.tensors[index] for index in indices if index >= 0] for indices in (op.inputs, op.outputs))
    quantised = [tensor for tensor in taken if tensor.dtype == "uint8"]
    if op.is_custom or op.name not in _VERSIONS:
        yield "is none of the operators that it knows"
    elif op.name in _CHANNELS and not (taken[_WEIGHTS].constant_bytes and taken[_WEIGHTS].dtype == "uint8"):
        yield "computes its weights"
    elif any(len(tensor.scales) != 1 for tensor in (*taken, *given) if tensor.dtype == "uint8"):
        yield "has uint8 values without one scale"
    elif op.name in _SHARES and (given[0].scales, given[0].zero_points) != ((1 / 256,), (0,)):
        yield "gives other steps than 256ths, which int8 doesn't"
    elif op.name in _SAME_SCALE and any((one.scales, one.zero_points) != (given[0].scales, given[0].zero_points) for one in quantised):
        yield "brings its inputs to another scale, which int8 doesn't"


@dataclass(slots=True)
class _Rewriter:
    """`root`: the file's objects, changed in place. `model`: the same file as it was."""

    root: Any
    model: Model
    done: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """Weights, by their tensor's index: how much wider the steps of each channel became."""
    channels: int = 0
    rounded: int = 0

    def rewrite(self) -> Reencoded:
        graph = self.root.subgraphs[0]
        for op in self.model.ops:
            code = self.root.operatorCodes[graph.operators[op.index].opcodeIndex]
            code.version = max(code.version, _VERSIONS[op.name])
            if op.name in _CHANNELS:
                self._narrow(op)
        for tensor in self.model.tensors:
            if tensor.dtype == "uint8" and tensor.scales and tensor.index not in self.done:
                self._shift(graph.tensors[tensor.index])
        self._keep_ends(graph)
        builder = flatbuffers.Builder()
        builder.Finish(self.root.Pack(builder), TFLITE)
        return Reencoded(bytes(builder.Output()), self.channels, self.rounded)

    def _narrow(self, op: Op) -> None:
        """Weights around zero, and the bias in the steps that go with them."""
        tensors = self.root.subgraphs[0].tensors
        read, weights = self.model.tensors[op.inputs[0]], self.model.tensors[op.inputs[_WEIGHTS]]
        axis = _CHANNELS[op.name]
        if weights.index not in self.done:
            values = self._values(weights.index, np.uint8).reshape(weights.shape).astype(np.int32) - weights.zero_points[0]
            narrow, wider, changed = _narrowed(values, axis)
            self._set(tensors[weights.index], narrow, schema.TensorType.INT8, weights.scales[0] * wider, axis or 0)
            self.done[weights.index] = wider
            self.channels += len(wider)
            self.rounded += changed
        wider = self.done[weights.index]
        if len(op.inputs) > _BIAS and (index := op.inputs[_BIAS]) >= 0:
            bias = np.rint(self._values(index, np.int32) / wider).astype(np.int32)
            self._set(tensors[index], bias, schema.TensorType.INT32, read.scales[0] * weights.scales[0] * wider, 0)

    def _shift(self, tensor: Any) -> None:
        """Activations and constants: every value 128 lower, which is the highest bit turned over."""
        tensor.type = schema.TensorType.INT8
        tensor.quantization.zeroPoint = np.asarray(tensor.quantization.zeroPoint, np.int64) - _MIDDLE
        buffer = self.root.buffers[tensor.buffer]
        if buffer.data is not None and len(buffer.data):
            buffer.data = np.asarray(buffer.data, np.uint8) ^ _MIDDLE

    def _keep_ends(self, graph: Any) -> None:
        """The uint8 tensors of callers stay as they were; a QUANTIZE stands between each and its int8 twin."""
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.QUANTIZE
        code.version = _VERSIONS["QUANTIZE"]
        ends = [index for index in dict.fromkeys((*graph.inputs, *graph.outputs)) if self.model.tensors[index].dtype == "uint8"]
        if ends:
            self.root.operatorCodes.append(code)
        for index in ends:
            twin = len(graph.tensors)
            graph.tensors.append(graph.tensors[index])
            graph.tensors[index] = self._outside(index)
            for op in graph.operators:
                op.inputs, op.outputs = _renamed(op.inputs, index, twin), _renamed(op.outputs, index, twin)
            is_input = index in graph.inputs
            graph.operators.insert(0 if is_input else len(graph.operators), self._quantize(*((index, twin) if is_input else (twin, index))))

    def _outside(self, index: int) -> Any:
        """The tensor as it was, but for its name's twin: a file has no two of a name."""
        inside = self.root.subgraphs[0].tensors[index]
        before = self.model.tensors[index]
        outside = schema.TensorT()
        outside.name, outside.shape, outside.shapeSignature = inside.name, inside.shape, inside.shapeSignature
        outside.type, outside.buffer = schema.TensorType.UINT8, inside.buffer
        outside.quantization = schema.QuantizationParametersT()
        outside.quantization.scale = np.array(before.scales, np.float32)
        outside.quantization.zeroPoint = np.array(before.zero_points, np.int64)
        inside.name = bytes(inside.name) + b"_int8"
        return outside

    def _quantize(self, source: int, target: int) -> Any:
        op = schema.OperatorT()
        op.opcodeIndex = len(self.root.operatorCodes) - 1
        op.inputs, op.outputs = np.array([source], np.int32), np.array([target], np.int32)
        op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.QuantizeOptions, schema.QuantizeOptionsT()
        return op

    def _values(self, index: int, dtype: type[np.generic]) -> NDArray[Any]:
        buffer = self.root.buffers[self.root.subgraphs[0].tensors[index].buffer]
        return np.asarray(buffer.data, np.uint8).view(dtype)

    def _set(self, tensor: Any, values: NDArray[Any], dtype: int, scales: NDArray[np.float64], axis: int) -> None:
        self.root.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
        tensor.type = dtype
        tensor.quantization.scale, tensor.quantization.zeroPoint = scales.astype(np.float32), np.zeros(len(scales), np.int64)
        tensor.quantization.quantizedDimension = axis
        tensor.quantization.min = tensor.quantization.max = None


def _narrowed(values: NDArray[np.int32], axis: int | None) -> tuple[NDArray[np.int8], NDArray[np.float64], int]:
    """Weights in steps from zero, int32, as int8; how much wider the steps of each channel are than before (channels,), float64; and how
    many channels aren't the very same.
    """
    moved = values[np.newaxis] if axis is None else np.moveaxis(values, axis, 0)
    rows = moved.reshape(len(moved), -1)
    wide = np.maximum(np.abs(rows).max(axis=1), _MOST) / _MOST
    rounded, cut = np.rint(rows / wide[:, np.newaxis]), np.clip(rows, -_MOST, _MOST)
    cuts = ((cut - rows) ** 2).sum(axis=1) < ((rounded * wide[:, np.newaxis] - rows) ** 2).sum(axis=1)
    chosen = np.where(cuts[:, np.newaxis], cut, rounded).astype(np.int8)
    narrow = chosen.reshape(moved.shape)
    changed = int(np.count_nonzero((chosen != rows).any(axis=1)))
    return narrow[0] if axis is None else np.moveaxis(narrow, 0, axis), np.where(cuts, 1.0, wide), changed


def _renamed(indices: Sequence[int], old: int, new: int) -> NDArray[np.int32]:
    found = np.array(indices, np.int32)
    found[found == old] = new
    return found
