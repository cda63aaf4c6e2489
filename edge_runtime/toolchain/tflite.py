"""A whole TFLite file read as data: operators, tensors, quantisation, signatures. Nothing of it is run.

A TFLite file is a FlatBuffer of TensorFlow's `lite/schema/schema.fbs`; the classes generated from it come with LiteRT. They
trust the file, so every count is checked here before anything is read by it. Files of strangers are read too: whatever is
in one, the answer is a Model or a ValueError, and it comes in time that is bounded by MAX_ITEMS.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

MAX_ITEMS = 1_000_000
"""What is read of one file: dimensions, scales, indices, four bytes of text, and _TABLE_ITEMS for each operator, tensor, ...

The largest models in use have some 100,000."""
_TABLE_ITEMS = 10
MAX_BYTES = 2**31
"""A FlatBuffer's offsets have 31 bits."""
_MAX_TEXT = 4096
_MAX_VALUES = 64
"""A constant of integers with no more items than these is read: shapes, axes, paddings."""
_BUILTIN = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
_TYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if name.isupper()}
_INTEGERS = {"int32": ("i", 4), "int64": ("q", 8)}
_KNOWN_STARTS = (
    (b"\xff\xd8\xff", "a JPEG picture"), (b"\x89PNG", "a PNG picture"), (b"GIF8", "a GIF picture"), (b"%PDF", "a PDF"),
    (b"\x89HDF", "a Keras .h5 or other HDF5 file, which must be converted first"),
    (b"PK\x03\x04", "a ZIP archive, such as a .keras file, which must be converted first"),
    (b"\x1f\x8b", "compressed with gzip"), (b"\x80\x04\x95", "a Python pickle"),
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. `shape_signature` has -1 where `shape` only has a placeholder. `constant_bytes` is 0 for what is computed.

    One scale and zero point per tensor, or one per item along `quantised_axis`; none at all where it isn't quantised.
    `values`: those of a small constant of integers, otherwise nothing.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    constant_bytes: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantised_axis: int
    is_variable: bool = False
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Op:
    """One operator: its TFLite name, or a custom operator's own. Inputs and outputs are tensor indices, -1 for none.

    `options`: an object of the schema's class for this operator (`Conv2DOptionsT`, ...), or None.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any = None
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A named way to call the model: names to tensor indices."""

    key: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Model:
    """The first subgraph, which is the model, and what the file says about itself. `subgraphs` counts all of them."""

    name: str
    ops: tuple[Op, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signatures: tuple[Signature, ...] = ()
    metadata: tuple[str, ...] = ()
    description: str = ""
    size_bytes: int = 0
    subgraphs: int = 1


def read_model(path: Path) -> Model:
    """Reads a TFLite file. Raises ValueError, with the file's name and what is wrong, where it is none or not whole."""
    data = read_bytes(path)
    try:
        return _Reader(path.name, data).model()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise ValueError(f"{path.name} is no whole TFLite file: it is cut short or damaged") from error


def read_bytes(path: Path) -> bytes:
    """The bytes of what begins as a TFLite file does. Raises ValueError, with the file's name, for anything else."""
    try:
        if path.is_dir():
            raise ValueError(f"{path.name} is no TFLite file: it is a folder")
        if not path.is_file():
            raise ValueError(f"{path.name} is no TFLite file: there is no such file")
        if path.stat().st_size >= MAX_BYTES:
            raise ValueError(f"{path.name} is no TFLite file: it has over 2 GiB")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.name} can't be read: {error.strerror}") from error
    if not data:
        raise ValueError(f"{path.name} is no TFLite file: it is empty")
    if data[4:8] != b"TFL3":
        what = next((f": it is {what}" for start, what in _KNOWN_STARTS if data.startswith(start)), "")
        raise ValueError(f"{path.name} is no TFLite file{what}")
    return data


@dataclass(slots=True)
class _Reader:
    name: str
    data: bytes
    left: int = field(default=MAX_ITEMS)

    def model(self) -> Model:
        root = schema.Model.GetRootAs(self.data, 0)
        codes = [self._code(code) for code in self._tables(root.OperatorCodesLength, root.OperatorCodes)]
        buffers = [self._buffer(buffer) for buffer in self._tables(root.BuffersLength, root.Buffers)]
        subgraphs = self._count(root.SubgraphsLength())
        if subgraphs == 0:
            raise ValueError("no subgraph")
        graph = root.Subgraphs(0)
        tensors = tuple(
            self._tensor(index, tensor, buffers) for index, tensor in enumerate(self._tables(graph.TensorsLength, graph.Tensors))
        )
        ops = tuple(
            self._op(index, op, codes, len(tensors)) for index, op in enumerate(self._tables(graph.OperatorsLength, graph.Operators))
        )
        return Model(
            self.name, ops, tensors,
            self._indices(graph.InputsLength, graph.InputsAsNumpy, len(tensors)),
            self._indices(graph.OutputsLength, graph.OutputsAsNumpy, len(tensors)),
            tuple(
                self._signature(signature, len(tensors))
                for signature in self._tables(root.SignatureDefsLength, root.SignatureDefs)
                if signature.SubgraphIndex() == 0
            ),
            tuple(self._text(entry.Name()) for entry in self._tables(root.MetadataLength, root.Metadata)),
            self._text(root.Description()), len(self.data), subgraphs,
        )

    def _count(self, count: int, *, has_bytes: bool = True) -> int:
        """Of items that take 4 bytes or more each. Raises ValueError for more than the file can hold, or than is read."""
        self.left -= count
        if (has_bytes and count * 4 > len(self.data)) or self.left < 0:
            raise ValueError("a vector of more items than there can be")
        return count

    def _tables(self, length: Callable[[], int], item: Callable[[int], Any]) -> list[Any]:
        count = self._count(length())
        self._count(count * _TABLE_ITEMS, has_bytes=False)
        return [item(index) for index in range(count)]

    def _numbers(self, length: Callable[[], int], values: Callable[[], Any]) -> list[Any]:
        return list(values().tolist()) if self._count(length()) else []

    def _indices(self, length: Callable[[], int], values: Callable[[], Any], tensors: int) -> tuple[int, ...]:
        found = tuple(self._numbers(length, values))
        if not all(-1 <= index < tensors for index in found):
            raise ValueError("a tensor that isn't there")
        return found

    def _text(self, raw: bytes | None) -> str:
        """A name or a description, of strangers too: without control characters, and not long."""
        raw = raw or b""
        self._count(len(raw) // 4)
        text = raw[:_MAX_TEXT].decode("utf-8", "replace")
        return "".join(character for character in text if character.isprintable() or character in "\n\t")

    def _code(self, code: Any) -> tuple[str, int, bool]:
        """Name, version and whether custom. Files of before 2020 have the number in the narrower field alone."""
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        name = _BUILTIN.get(number, f"BUILTIN_{number}")
        if name == "CUSTOM":
            return self._text(code.CustomCode()) or "CUSTOM", code.Version(), True
        return name, code.Version(), False

    def _buffer(self, buffer: Any) -> tuple[int, int]:
        """Where a constant begins in the file, and its bytes."""
        if (size := buffer.DataLength()) > 0:
            tab = buffer._tab  # noqa: SLF001  # the generated class gives the bytes, not where they lie
            start = tab.Vector(tab.Offset(4))
        else:
            start, size = (buffer.Offset(), buffer.Size()) if buffer.Offset() > 1 else (0, 0)
        if start + size > len(self.data):
            raise ValueError("a constant beyond the end")
        return start, size

    def _tensor(self, index: int, tensor: Any, buffers: list[tuple[int, int]]) -> Tensor:
        shape = tuple(self._numbers(tensor.ShapeLength, tensor.ShapeAsNumpy))
        signature = tuple(self._numbers(tensor.ShapeSignatureLength, tensor.ShapeSignatureAsNumpy))
        start, size = buffers[tensor.Buffer()]
        dtype = _TYPES[tensor.Type()]
        quantisation = tensor.Quantization()
        scales, zero_points, axis = [], [], 0
        if quantisation is not None:
            scales = self._numbers(quantisation.ScaleLength, quantisation.ScaleAsNumpy)
            zero_points = self._numbers(quantisation.ZeroPointLength, quantisation.ZeroPointAsNumpy)
            axis = quantisation.QuantizedDimension()
        form, width = _INTEGERS.get(dtype, ("", 0))
        values: tuple[int, ...] = ()
        if form and 0 < size <= _MAX_VALUES * width:
            values = struct.unpack_from(f"<{self._count(size // width)}{form}", self.data, start)
        return Tensor(
            index, self._text(tensor.Name()), dtype, shape, signature or shape, size, tuple(scales), tuple(zero_points), axis,
            bool(tensor.IsVariable()), values,
        )

    def _op(self, index: int, op: Any, codes: list[tuple[str, int, bool]], tensors: int) -> Op:
        name, version, is_custom = codes[op.OpcodeIndex()]
        inputs = self._indices(op.InputsLength, op.InputsAsNumpy, tensors)
        outputs = self._indices(op.OutputsLength, op.OutputsAsNumpy, tensors)
        options = schema.BuiltinOptionsCreator(op.BuiltinOptionsType(), op.BuiltinOptions())
        return Op(index, name, version, inputs, outputs, options, is_custom)

    def _signature(self, signature: Any, tensors: int) -> Signature:
        inputs, outputs = (
            {self._text(entry.Name()): int(entry.TensorIndex()) for entry in self._tables(length, item)}
            for length, item in ((signature.InputsLength, signature.Inputs), (signature.OutputsLength, signature.Outputs))
        )
        if any(index >= tensors for index in (*inputs.values(), *outputs.values())):
            raise ValueError("a tensor that isn't there")
        return Signature(self._text(signature.SignatureKey()), inputs, outputs)
