"""Writes TFLite Metadata into a variant, so that the same file opens in MediaPipe Tasks and in Android's tools.

Fields go by their number in `metadata_schema.fbs`; what is written, `metadata.read_metadata` reads back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from flatbuffers import Builder

from domains.core import InputSpec
from domains.core.training import Identity
from edge_runtime.folders import write_whole
from edge_runtime.models import TensorInfo, VariantInfo
from edge_runtime.toolchain.attach import attach
from edge_runtime.toolchain.describe import describe
from edge_runtime.toolchain.metadata import (
    ACTIVATIONS,
    AXIS_LABELS,
    COLOURS,
    IDENTIFIER,
    IMAGE,
    NAME,
    NORMALISATION,
    SEGMENTER,
    SEGMENTER_IDENTIFIER,
)

AUTHOR = "Hedgerow"
LABELS = "labels.txt"
LOGITS = "logits"
"""The output, in every domain, whose last axis is the labels."""
_FEATURE = 1
_PLAIN_VERSION, _CUSTOM_VERSION = "1.0.0", "1.5.0"
"""Of the schema: what a reader must know for all that is written here, without and with custom metadata."""


@dataclass(frozen=True, slots=True)
class Byte:
    """A scalar of one byte: an enumeration's value or a union's type."""

    value: int


@dataclass(frozen=True, slots=True)
class Number:
    """A scalar of type uint."""

    value: int


Value: TypeAlias = "Byte | Number | str | bytes | Fields | Sequence[float] | Sequence[Fields]"
Fields: TypeAlias = Mapping[int, Value]
"""A table: its fields by their numbers."""


def embed(path: Path, identity: Identity) -> VariantInfo:
    """Puts the metadata into the TFLite file, in the place of older ones, and gives the manifest's entry for it.

    No byte of the model itself is moved or changed, so it answers as it did. Raises ValueError, naming the file, for one that
    isn't TFLite, or has another form than a package's variants have.
    """
    found = describe(path)
    labels = "".join(f"{label}\n" for label in identity.labels)
    try:
        content = attach(path.read_bytes(), NAME, _encode(_model(identity, found), IDENTIFIER), {LABELS: labels.encode()})
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    write_whole(path, content)
    return describe(path)


def _model(identity: Identity, variant: VariantInfo) -> Fields:
    outputs = sorted(variant.outputs.items(), key=lambda item: item[1].position)
    segments = identity.task == "segmentation"
    graph: dict[int, Value] = {
        2: [_input(identity.input, variant.input)],
        3: [_output(name, tensor, identity) for name, tensor in outputs],
    }
    if segments:
        softmax: Fields = {0: Byte(ACTIVATIONS.index("softmax")), 1: _PLAIN_VERSION}
        segmenter: Fields = {0: SEGMENTER, 1: _encode(softmax, SEGMENTER_IDENTIFIER)}
        graph[9] = [segmenter]
    return {
        0: identity.name, 1: f"{identity.title}. {identity.intended_use}", 2: identity.version, 3: [graph], 4: AUTHOR,
        5: f"Weights: {identity.weights_licence}. Data: {identity.data_licence}.",
        7: _CUSTOM_VERSION if segments else _PLAIN_VERSION,
    }


def _input(spec: InputSpec, tensor: TensorInfo) -> Fields:
    colours = "rgb" if spec.channels == 3 else "grey"
    size: Fields = {0: Number(spec.width), 1: Number(spec.height)}
    picture: Fields = {0: Byte(COLOURS.index(colours)), 1: size}
    normalisation: Fields = {0: [spec.mean] * spec.channels, 1: [spec.std] * spec.channels}
    least, greatest = (_value((pixel - spec.mean) / spec.std, tensor) for pixel in (0, 255))
    content: Fields = {0: Byte(IMAGE), 1: picture}
    unit: Fields = {0: Byte(NORMALISATION), 1: normalisation}
    stats: Fields = {0: [greatest], 1: [least]}
    return {
        0: "image", 1: f"The picture: {colours}, value = (pixel - {spec.mean:g}) / {spec.std:g} of pixels 0 to 255",
        3: content, 4: [unit], 5: stats,
    }


def _output(name: str, tensor: TensorInfo, identity: Identity) -> Fields:
    nothing: Fields = {}
    content: Fields = {0: Byte(_FEATURE), 1: nothing}
    described: dict[int, Value] = {0: name, 3: content}
    if name == LOGITS and tensor.shape[-1] == len(identity.labels):
        described[1] = "One number for each label; their softmax is the label's share"
        file: Fields = {0: LABELS, 1: "The labels, one a line", 2: Byte(AXIS_LABELS)}
        described[6] = [file]
    else:
        described[1] = f"{name} of shape {' x '.join(map(str, tensor.shape))}"
    return described


def _value(real: float, tensor: TensorInfo) -> float:
    """A real value as the tensor holds it."""
    return real if tensor.scale == 0 else float(round(real / tensor.scale) + tensor.zero_point)


def _encode(root: Fields, identifier: bytes) -> bytes:
    builder = Builder()
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _table(builder: Builder, fields: Fields) -> int:
    """What a table refers to is written before it."""
    references = {field: _reference(builder, value) for field, value in fields.items()
                  if not isinstance(value, Byte | Number)}
    builder.StartObject(max(fields, default=-1) + 1)
    for field, value in fields.items():
        if isinstance(value, Byte):
            builder.PrependInt8Slot(field, value.value, 0)
        elif isinstance(value, Number):
            builder.PrependUint32Slot(field, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, references[field], 0)
    return int(builder.EndObject())


def _reference(builder: Builder, value: str | bytes | Fields | Sequence[float] | Sequence[Fields]) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table(builder, value)
    if isinstance(value, bytes):
        return _vector(builder, value, builder.PrependByte, item_bytes=1, alignment=16)
    if all(isinstance(item, Mapping) for item in value):
        tables = [_table(builder, item) for item in value if isinstance(item, Mapping)]
        return _vector(builder, tables, builder.PrependUOffsetTRelative, item_bytes=4, alignment=4)
    return _vector(builder, value, builder.PrependFloat32, item_bytes=4, alignment=4)


def _vector(builder: Builder, items: Sequence[Any], write: Callable[[Any], None], *, item_bytes: int, alignment: int) -> int:
    builder.StartVector(item_bytes, len(items), alignment)
    for item in reversed(items):
        write(item)
    return int(builder.EndVector())
