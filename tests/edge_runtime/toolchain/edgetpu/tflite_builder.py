"""Small TFLite files for the tests of the prediction, made with the schema's own classes; and those kept in files/."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.toolchain.tflite import Model, read_model

FILES = Path(__file__).parent / "files"
_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4, "int64": 8}


def kept(name: str, folder: Path) -> Path:
    """One of files/*.tflite.gz, unpacked into a folder."""
    path = folder / f"{name}.tflite"
    path.write_bytes(gzip.decompress((FILES / f"{name}.tflite.gz").read_bytes()))
    return path


class GraphBuilder:
    """Tensors and operators of a model's first subgraph, in the order in which they are added."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()]

    def tensor(self, *shape: int, dtype: str = "int8", scales: int = 1, signature: Sequence[int] | None = None) -> int:
        """A tensor that is computed or fed in; gives its index. `scales`: 0 for one that isn't quantised."""
        made = schema.TensorT(
            shape=list(shape), shapeSignature=signature and list(signature), type=getattr(schema.TensorType, dtype.upper()),
            buffer=0, name=f"t{len(self.tensors)}", hasRank=True,
        )
        if scales and dtype in {"int8", "uint8", "int16"}:
            made.quantization = schema.QuantizationParametersT(scale=[0.5] * scales, zeroPoint=[0] * scales)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, *shape: int, dtype: str = "int8", scales: int = 1, values: Sequence[int] | None = None) -> int:
        """A constant, zeros where no values are given."""
        index = self.tensor(*shape, dtype=dtype, scales=scales)
        data = np.zeros(_BYTES[dtype] * int(np.prod(shape)), np.uint8)
        if values is not None:
            data = np.frombuffer(np.array(values, dtype).tobytes(), np.uint8)
        self.buffers.append(schema.BufferT(data=data))
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 1) -> None:
        """An operator: a builtin one, or where TFLite has none of the name a custom one. `options`: an object of the schema."""
        number = getattr(schema.BuiltinOperator, name, None)
        code = schema.OperatorCodeT(
            builtinCode=schema.BuiltinOperator.CUSTOM if number is None else number, version=version,
            customCode=name if number is None else None,
        )
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.codes.append(code)
        kind = type(options).__name__.removesuffix("T") if options else "NONE"
        self.operators.append(schema.OperatorT(
            opcodeIndex=len(self.codes) - 1, inputs=list(inputs), outputs=list(outputs), builtinOptions=options,
            builtinOptionsType=getattr(schema.BuiltinOptions, kind),
        ))

    def conv(self, source: int, channels: int, side: int, *, kernel: int = 1, scales: int = 1, version: int = 3) -> int:
        """A CONV_2D to (1, side, side, channels); gives the output."""
        inputs = self.tensors[source].shape[-1]
        output = self.tensor(1, side, side, channels)
        weights = self.constant(channels, kernel, kernel, inputs, scales=scales)
        bias = self.constant(channels, dtype="int32")
        self.op("CONV_2D", [source, weights, bias], [output], schema.Conv2DOptionsT(dilationWFactor=1, dilationHFactor=1), version)
        return output

    def data(self, inputs: Sequence[int], outputs: Sequence[int], subgraphs: int = 1) -> bytes:
        """The file's bytes."""
        graphs = [schema.SubGraphT(tensors=self.tensors, inputs=list(inputs), outputs=list(outputs), operators=self.operators)]
        graphs += [schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[]) for _ in range(subgraphs - 1)]
        model = schema.ModelT(version=3, operatorCodes=self.codes, subgraphs=graphs, buffers=self.buffers, description="made for a test")
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def model(self, folder: Path, inputs: Sequence[int], outputs: Sequence[int], subgraphs: int = 1) -> Model:
        """Written and read again."""
        path = folder / "made.tflite"
        path.write_bytes(self.data(inputs, outputs, subgraphs))
        return read_model(path)
