"""TFLite files made here, without a converter: RESHAPE, then FULLY_CONNECTED for each output. What they answer can be worked
out with a matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

TYPES = {"float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8,
         "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64}
INPUT_SCALE = {"int8": (1 / 128, -1), "uint8": (1 / 128, 127)}


@dataclass(frozen=True)
class Output:
    """`weights`: real (labels, height * width * channels). `scale` and `zero_point` of an integer output."""

    name: str
    weights: NDArray[np.float32]
    scale: float = 0.05
    zero_point: int = 3


def linear(path: Path, shape: Sequence[int], outputs: Sequence[Output], *, dtype: str = "float32", any_batch: bool = False,
           signature: Sequence[str] = (), inputs: int = 1, weights_scale: float = 0.0) -> Path:
    """Writes a model for pictures of `shape` (height, width, channels).

    `any_batch`: the file takes any number of pictures. `signature`: the outputs' names there, in its own order.
    `weights_scale`: of integer weights; by default so that the largest is 127.
    """
    made = _Maker(dtype, any_batch)
    pixels = made.tensor("serving_pixels", (1, *shape), dtype, INPUT_SCALE.get(dtype), any_size=any_batch)
    more = [made.tensor(f"more_{number}", (1, *shape), dtype, INPUT_SCALE.get(dtype)) for number in range(1, inputs)]
    size = int(np.prod(shape))
    flat = made.tensor("flat", (1, size), dtype, INPUT_SCALE.get(dtype), any_size=any_batch)
    wanted = made.tensor("wanted", (2,), "int32", constant=np.array([-1, size], np.int32))
    options = schema.ReshapeOptionsT()
    options.newShape = [-1, size]
    made.op(schema.BuiltinOperator.RESHAPE, [pixels, wanted], [flat], schema.BuiltinOptions.ReshapeOptions, options)
    ends = {}
    for output in outputs:
        weights, quantisation = _weights(output.weights, dtype, weights_scale)
        kernel = made.tensor(f"{output.name}_kernel", output.weights.shape, dtype, quantisation, constant=weights)
        scale = None if dtype == "float32" else (output.scale, output.zero_point)
        ends[output.name] = made.tensor(output.name, (1, len(output.weights)), dtype, scale, any_size=any_batch)
        dense = schema.FullyConnectedOptionsT()
        made.op(schema.BuiltinOperator.FULLY_CONNECTED, [flat, kernel, -1], [ends[output.name]],
                schema.BuiltinOptions.FullyConnectedOptions, dense)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.file([pixels, *more], list(ends.values()), {name: ends[name] for name in signature}))
    return path


def _weights(real: NDArray[np.float32], dtype: str, scale: float) -> tuple[NDArray[np.generic], tuple[float, int] | None]:
    if dtype == "float32":
        return real.astype(np.float32), None
    scale = scale or float(np.abs(real).max()) / 127 or 1.0
    steps = np.round(real / scale).astype(np.int64)
    return ((steps + 128).astype(np.uint8), (scale, 128)) if dtype == "uint8" else (steps.astype(np.int8), (scale, 0))


class _Maker:
    def __init__(self, dtype: str, any_batch: bool) -> None:
        self._dtype, self._any_batch = dtype, any_batch
        self._buffers = [schema.BufferT()]
        self._tensors: list[schema.TensorT] = []
        self._ops: list[schema.OperatorT] = []
        self._codes: list[schema.OperatorCodeT] = []

    def tensor(self, name: str, shape: Sequence[int], dtype: str, quantisation: tuple[float, int] | None = None, *,
               constant: NDArray[np.generic] | None = None, any_size: bool = False) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), TYPES[dtype]
        if any_size:
            made.shapeSignature = [-1, *shape[1:]]
        if quantisation is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [quantisation[0]], [quantisation[1]]
        made.buffer = 0
        if constant is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
            self._buffers.append(buffer)
            made.buffer = len(self._buffers) - 1
        self._tensors.append(made)
        return len(self._tensors) - 1

    def op(self, builtin: int, inputs: Sequence[int], outputs: Sequence[int], kind: int, options: object) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 4 if builtin == schema.BuiltinOperator.FULLY_CONNECTED and self._dtype == "int8" else 1
        self._codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self._codes) - 1, list(inputs), list(outputs)
        made.builtinOptionsType, made.builtinOptions = kind, options
        self._ops.append(made)

    def file(self, inputs: Sequence[int], outputs: Sequence[int], named: dict[str, int]) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self._tensors, self._ops, list(inputs), list(outputs)
        graph.name = b"main"
        model = schema.ModelT()
        model.version, model.description = 3, b"made for tests"
        model.subgraphs, model.buffers, model.operatorCodes = [graph], self._buffers, self._codes
        if named:
            signature = schema.SignatureDefT()
            signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
            signature.inputs = [_named("pixels", inputs[0])]
            signature.outputs = [_named(name, index) for name, index in named.items()]
            model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _named(name: str, index: int) -> schema.TensorMapT:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), index
    return made
