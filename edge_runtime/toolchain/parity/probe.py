"""Every tensor of a graph after a run, and every operator of it run by itself.

Both run on the kernels that the gateway runs on: LiteRT keeps what it computes where it is told to, with XNNPACK too, and the
outputs stay the same to the bit.
"""

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_runtime.backends.tflite import Interpreter
from edge_runtime.toolchain.interpret import End, Runner, dequantise, quantise
from edge_runtime.toolchain.tflite import read_bytes

Reals = NDArray[np.float32]
_KEEPING = {"experimental_preserve_all_tensors": True}


class Probe:
    """A file on the CPU that keeps all that it computes. Raises ValueError, naming the file, where it can't be run."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it takes memory
            self.runner = Runner(path, threads=2, options=_KEEPING)
        self._details = _details(self.runner.interpreter)

    def run(self, tensor: NDArray[np.generic]) -> None:
        """One run on an input tensor."""
        self.runner.invoke_raw(tensor)

    def raw(self, tensor: int) -> NDArray[np.generic]:
        """A tensor as it is."""
        return np.asarray(self.runner.interpreter.get_tensor(tensor))

    def real(self, tensor: int) -> Reals:
        """A tensor in real values, by its own scale, or by its own scales along the axis that it has them for."""
        return _real(self.raw(tensor), self._details[tensor])

    def step(self, tensor: int) -> float:
        """The width of a quantisation step; 0 where the tensor isn't quantised."""
        return float(self._details[tensor]["quantization"][0])

    def reach(self, tensor: int) -> tuple[float, float]:
        """The least and greatest value that the tensor can hold."""
        detail = self._details[tensor]
        scale, zero_point = detail["quantization"]
        if not scale:
            return -np.inf, np.inf
        limits = np.iinfo(detail["dtype"])
        return (limits.min - zero_point) * scale, (limits.max - zero_point) * scale


class Alone:
    """The same graph with each operator cut off from those before it: whatever an operator reads is fed to it.

    So its output shows what it does to another graph's values. Raises ValueError where the graph can't be run so.
    """

    def __init__(self, path: Path) -> None:
        content, self._fed = cut_apart(read_bytes(path))
        try:
            self._interpreter: Any = Interpreter(model_content=content, num_threads=2)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{path.name}: its operators can't be run one by one") from error
        self._details = _details(self._interpreter)

    @property
    def reads(self) -> tuple[int, ...]:
        """The tensors of the whole graph that are to be fed."""
        return tuple(self._fed)

    def run(self, values: Mapping[int, NDArray[np.generic]]) -> None:
        """Runs every operator. `values`: what `reads` names, in real values, or as they are where they are integers without a scale."""
        for tensor, fed in self._fed.items():
            detail = self._details[fed]
            value = values[tensor]
            if value.dtype != detail["dtype"]:
                value = quantise(np.asarray(value, np.float32), _end(detail))
            self._interpreter.set_tensor(fed, value.reshape(detail["shape"]))
        self._interpreter.invoke()

    def real(self, tensor: int) -> Reals:
        """What an operator gave, in real values."""
        return _real(self._interpreter.get_tensor(tensor), self._details[tensor])


def cut_apart(data: bytes) -> tuple[bytes, dict[int, int]]:
    """A TFLite file with every operator cut off, and the tensors of the old graph to those that stand in for them as inputs.

    Numbers of tensors stay; what is new comes after them. Variables of a recurrent layer stay with it.
    """
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    fed: dict[int, int] = {}
    outputs: list[int] = []
    for op in graph.operators:
        op.inputs = np.array([_stand_in(int(tensor), model, fed) for tensor in op.inputs], np.int32)
        outputs += [int(tensor) for tensor in op.outputs]
    graph.inputs, graph.outputs = np.array(list(fed.values()), np.int32), np.array(outputs, np.int32)
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), fed



def _stand_in(tensor: int, model: Any, fed: dict[int, int]) -> int:
    """The number of what is read in a tensor's place: itself where it is constant, a variable, or none."""
    tensors = model.subgraphs[0].tensors
    if tensor < 0 or tensors[tensor].isVariable or _has_content(model.buffers[tensors[tensor].buffer]):
        return tensor
    if tensor not in fed:
        copied = copy.copy(tensors[tensor])
        copied.name = b"fed/" + (copied.name or b"")
        tensors.append(copied)
        fed[tensor] = len(tensors) - 1
    return fed[tensor]


def _has_content(buffer: Any) -> bool:
    return (buffer.data is not None and len(buffer.data) > 0) or bool(buffer.size)


def _details(interpreter: Any) -> dict[int, dict[str, Any]]:
    return {detail["index"]: detail for detail in interpreter.get_tensor_details()}


def _end(detail: Mapping[str, Any]) -> End:
    scale, zero_point = detail["quantization"]
    return End(str(detail["name"]), detail["index"], np.dtype(detail["dtype"]).name, tuple(detail["shape"]), float(scale), int(zero_point))


def _real(values: NDArray[np.generic], detail: Mapping[str, Any]) -> Reals:
    scales = detail["quantization_parameters"]["scales"]
    if len(scales) <= 1:
        return dequantise(values, _end(detail))
    axis = detail["quantization_parameters"]["quantized_dimension"]
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    zero_points = detail["quantization_parameters"]["zero_points"].reshape(shape)
    return np.asarray((values.astype(np.float32) - zero_points) * scales.reshape(shape), np.float32)
