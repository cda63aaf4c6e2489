"""Tensors as the protocol has them: a name, a datatype, a shape, and bytes in its binary form. Pure, without numpy.

The binary form is little-endian, the last axis running fastest, BOOL a byte, each element of BYTES behind its length in four
bytes (Triton, extension_binary_data).
"""

import math
import struct
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.service.errors import ErrorCode, ServiceError

Content = bytes | memoryview

BYTES = "BYTES"
_CODES: Mapping[str, str] = {
    "BOOL": "B", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP32": "f", "FP64": "d",
}
"""Datatypes by their codes in `array`; FP16, BF16 and BYTES have none."""
ITEM_BYTES: Mapping[str, int] = {**{name: array(code).itemsize for name, code in _CODES.items()}, "FP16": 2, "BF16": 2}
_LENGTH = struct.Struct("<I")
_MOST_AXES = 8
assert sys.byteorder == "little", "arrays are taken as they lie in memory"


@dataclass(frozen=True, slots=True)
class Signature:
    """A tensor that a model takes or gives. -1 in the shape stands for any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """One tensor. `content`: its binary form."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    content: Content
    parameters: Mapping[str, Any] = field(default_factory=dict)


def invalid(message: str, parameter: str = "") -> ServiceError:
    """What a caller is told who sent something wrong; `parameter` names the tensor or parameter."""
    return ServiceError(ErrorCode.INVALID_ARGUMENT, message, parameter=parameter)


def check_shape(name: str, shape: Sequence[Any]) -> tuple[int, ...]:
    """A shape that a caller sent. Raises INVALID_ARGUMENT."""
    if len(shape) > _MOST_AXES or any(not isinstance(axis, int) or isinstance(axis, bool) or axis < 0 for axis in shape):
        raise invalid(f"the shape of {name!r} is no list of up to {_MOST_AXES} lengths", name)
    return tuple(shape)


def check(given: Array, wanted: Signature) -> None:
    """Raises INVALID_ARGUMENT where a tensor isn't what the model takes."""
    name = wanted.name
    if given.datatype != wanted.datatype:
        raise invalid(f"input {name!r} is of the datatype {given.datatype[:16]!r}, the model takes {wanted.datatype}", name)
    if len(given.shape) != len(wanted.shape) or any(b not in {a, -1} for a, b in zip(given.shape, wanted.shape, strict=True)):
        raise invalid(f"input {name!r} has the shape {list(given.shape)}, the model takes {list(wanted.shape)}", name)
    if given.datatype == BYTES:
        unpack(given)
        return
    expected = math.prod(given.shape) * ITEM_BYTES[given.datatype]
    if len(given.content) != expected:
        raise invalid(f"input {name!r} holds {len(given.content)} bytes, {given.datatype} of the shape {list(given.shape)} "
                      f"are {expected}", name)


def pack(elements: Iterable[Content]) -> bytes:
    """The binary form of BYTES."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def unpack(tensor: Array) -> list[memoryview]:
    """The elements of BYTES. Raises INVALID_ARGUMENT where they aren't as many as the shape says, or are cut."""
    content, found, at = memoryview(tensor.content), [], 0
    while at < len(content):
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack(content[at:start])[0] if start <= len(content) else start
        if at > len(content):
            raise invalid(f"input {tensor.name!r}: an element of BYTES is cut short; each stands behind its length, four bytes", tensor.name)
        found.append(content[start:at])
    if len(found) != math.prod(tensor.shape):
        raise invalid(f"input {tensor.name!r} holds {len(found)} elements, its shape {list(tensor.shape)} asks for "
                      f"{math.prod(tensor.shape)}", tensor.name)
    return found


def from_values(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    """The binary form of numbers, truth values or bytes, one after the other. Raises INVALID_ARGUMENT."""
    try:
        if datatype == BYTES:
            return pack(values)
        if datatype == "BOOL" and not all(isinstance(value, bool) for value in values):
            raise TypeError
        if datatype == "FP16":
            return struct.pack(f"<{len(values)}e", *values)
        return array(_CODES[datatype], values).tobytes()
    except KeyError as error:
        raise invalid(f"input {name!r}: the datatype {datatype[:16]!r} can't be given as a list", name) from error
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise invalid(f"input {name!r} holds something that is no {datatype}", name) from error


def to_values(tensor: Array) -> list[Any]:
    """The elements of a tensor that we give: numbers, truth values or bytes."""
    if tensor.datatype == BYTES:
        return [bytes(element) for element in unpack(tensor)]
    values = array(_CODES[tensor.datatype])
    values.frombytes(tensor.content)
    return [bool(value) for value in values] if tensor.datatype == "BOOL" else values.tolist()


def from_base64(name: str, text: str | bytes | memoryview) -> bytes:
    """Bytes out of base64. Raises INVALID_ARGUMENT."""
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise invalid(f"input {name!r} is no base64, which bytes in JSON must be", name) from error


def to_base64(content: bytes) -> str:
    """Base64 of bytes."""
    return b64encode(content).decode("ascii")


def top(tensor: Array, count: int, labels: Sequence[str]) -> Array:
    """The `count` highest values as VALUE:INDEX:LABEL (Triton, extension_classification). `labels`: by index, where known."""
    if tensor.datatype == BYTES:
        raise invalid(f"output {tensor.name!r} holds no numbers that could be ranked", "classification")
    values = to_values(tensor)
    ranked = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:count]
    named = labels if len(labels) == len(values) else ()
    texts = [f"{values[index]:f}:{index}{f':{named[index]}' if named else ''}".encode() for index in ranked]
    batch = tensor.shape[:1] if tensor.shape[:1] == (1,) and len(tensor.shape) > 1 else ()
    return Array(tensor.name, BYTES, (*batch, len(texts)), pack(texts))
