"""Small TFLite files, and what a compiler could have made of them: the real instructions of another model in the frame of
this one. They can't be run, but are read as real ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from domains.core import InputSpec
from domains.core.training import Identity
from edge_runtime.known_answer import write
from edge_runtime.models import TensorInfo, VariantInfo, sha256_of
from edge_runtime.toolchain.manifest import write_package

FILES = Path(__file__).parent / "files"
COMPILED = FILES / "compiled"
REAL = COMPILED / "split_concat_edgetpu.tflite"
SIDE = 8
INPUT = TensorInfo("int8", (1, SIDE, SIDE, 3), 1 / 128, -1)
LOGITS = TensorInfo("int8", (1, SIDE, SIDE, 3), 0.25, 3)
MASK = TensorInfo("int8", (1, SIDE, SIDE, 3), 0.5, 0, position=1)


def write_int8(path: Path, ops: Sequence[str] = ("LOGISTIC", "TANH"), outputs: Sequence[TensorInfo] = (LOGITS, MASK),
               source: TensorInfo = INPUT) -> Path:
    """A model of one input to whose operators each give one output; the last operators give `outputs`."""
    forms = [source, *[outputs[0]] * (len(ops) - len(outputs)), *outputs]
    tensors = [_tensor(f"tensor_{number}", form) for number, form in enumerate(forms)]
    operators = [_op(ops.index(name), [max(0, number - 1)], [number]) for number, name in enumerate(ops, 1)]
    first = len(ops) - len(outputs) + 1
    return _write(path, tensors, [_code(name) for name in ops], operators, [0], list(range(first, len(ops) + 1)))


def write_compiled(source: Path, path: Path, *, kept: Sequence[str] = (), reverse: bool = False, rename: bool = False,
                   parts: int = 1, change: Any = None) -> Path:
    """What the compiler could make of `source`: `kept` stay on the CPU, and with `reverse` outputs change their order. It has
    `parts` on the TPU.

    `change`: called with the input's or output's tensor object, to make a file that wasn't compiled from `source`.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source.read_bytes(), 0))
    graph = model.subgraphs[0]
    inputs, outputs = list(graph.inputs), list(graph.outputs)[:: -1 if reverse else 1]
    for index in (*inputs, *outputs):
        if change:
            change(graph.tensors[index])
        if rename:
            graph.tensors[index].name += b"_renamed"
    operators = [_op(0, inputs, outputs, options_of(REAL))] * parts
    operators += [_op(number, outputs, outputs) for number, _ in enumerate(kept, 1)]
    return _write(path, graph.tensors, [_code("edgetpu-custom-op"), *map(_code, kept)], operators, inputs, outputs)


def options_of(compiled: Path) -> bytes:
    """What the custom operator of a compiled file holds."""
    operator = schema.Model.GetRootAs(compiled.read_bytes(), 0).Subgraphs(0).Operators(0)
    return bytes(operator.CustomOptionsAsNumpy().tobytes())


def with_options(path: Path, *options: bytes) -> Path:
    """A file with a custom operator for each of `options`."""
    tensors = [_tensor("in", INPUT), _tensor("out", LOGITS)]
    return _write(path, tensors, [_code("edgetpu-custom-op")], [_op(0, [0], [1], part) for part in options], [0], [1])


def write_int8_package(parent: Path, name: str = "tiny", outputs: Sequence[TensorInfo] = (LOGITS, MASK), variant: str = "int8",
                       ) -> Path:
    """A package with one variant, whose outputs are called logits, mask, ..."""
    folder = parent / name
    folder.mkdir(parents=True)
    file = write_int8(folder / f"{variant}.tflite", outputs=outputs)
    named = dict(zip(("logits", "mask"), outputs, strict=False))
    info = VariantInfo(file.name, sha256_of(file), file.stat().st_size, INPUT, named)
    identity = Identity(name, "1", "none", "segmentation", "t", ("a", "b", "c"), "", "", "", InputSpec(SIDE, SIDE, 127.0, 128.0))
    answer = {f"{variant}.{output}": np.zeros(tensor.shape, np.int8) for output, tensor in named.items()}
    known = write(folder, {"pixels": np.full(INPUT.shape, 127, np.uint8), **answer}, 0)
    write_package(folder, identity, {variant: info}, known, {}, {}, "A card.")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _tensor(name: str, form: TensorInfo) -> Any:
    tensor = schema.TensorT()
    tensor.name = name.encode()
    tensor.shape = list(form.shape)
    tensor.type = {"int8": 9, "uint8": 3, "float32": 0}[form.dtype]
    tensor.buffer = 0
    if form.scale:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [form.scale], [form.zero_point]
    return tensor


def _code(name: str) -> Any:
    code = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.customCode = name.encode() if number == schema.BuiltinOperator.CUSTOM else None
    code.version = 1
    return code


def _op(code: int, inputs: Sequence[int], outputs: Sequence[int], options: bytes = b"") -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, list(inputs), list(outputs)
    operator.customOptions = np.frombuffer(options, np.uint8) if options else None
    return operator


def _write(path: Path, tensors: Sequence[Any], codes: Sequence[Any], operators: Sequence[Any], inputs: list[int],
           outputs: list[int]) -> Path:
    model, graph = schema.ModelT(), schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = list(tensors), list(operators), inputs, outputs
    graph.name = b"main"
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], list(codes), [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
