"""TFLite Metadata: what a file says of itself to phones' tools, read from the file. No TensorFlow, no MediaPipe here.

The metadata are a FlatBuffer of their own in the buffer `TFLITE_METADATA`, by the schema `metadata_schema.fbs` of
tensorflow/tflite-support and MediaPipe; the files that it names lie in a ZIP at the file's end.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.flatbuffer import DAMAGED, Table, root_of
from edge_runtime.toolchain.attach import TFLITE, buffer_of

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
SEGMENTER, SEGMENTER_IDENTIFIER = "SEGMENTER_METADATA", b"V001"
"""MediaPipe's custom metadata for segmentation, a FlatBuffer of `image_segmenter_metadata_schema.fbs`."""
IMAGE, NORMALISATION, AXIS_LABELS = 2, 1, 2
"""Of the unions ContentProperties and ProcessUnitOptions, and of the enumeration AssociatedFileType."""
COLOURS = ("", "rgb", "grey")
ACTIVATIONS = ("none", "sigmoid", "softmax")
MAX_FILE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """One input or output.

    `colours`: rgb or grey for a picture, otherwise empty. `mean`, `std`: value = (pixel - mean) / std, one for all channels or
    one each. `least`, `greatest`: of the tensor's own values. `labels`: those of its last axis.
    """

    name: str
    description: str = ""
    colours: str = ""
    width: int = 0
    height: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    least: tuple[float, ...] = ()
    greatest: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    """All of it. `activation`: what MediaPipe's segmenter has to do with the output, empty where it is told nothing."""

    name: str
    description: str
    version: str
    author: str
    licence: str
    min_parser_version: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    activation: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


def read_metadata(path: Path) -> Metadata | None:
    """The metadata in a TFLite file, None where it has none. Raises ValueError, naming the file, where it is no TFLite file or
    its metadata are damaged.
    """
    try:
        data = path.read_bytes()
        found = buffer_of(root_of(data, TFLITE), NAME)
    except (OSError, *DAMAGED) as error:
        raise ValueError(f"{path.name} is no TFLite file, or not the whole of one") from error
    if found is None:
        return None
    try:
        return _metadata(root_of(found[1], IDENTIFIER), _files(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, *DAMAGED) as error:
        raise ValueError(f"{path.name} has TFLite Metadata that can't be read: {error}") from error


def _files(data: bytes) -> dict[str, bytes]:
    """The files in the ZIP, if there is one."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.file_size > MAX_FILE_BYTES:
                raise ValueError(f"{info.filename} has over 1 MiB")
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _metadata(model: Table, files: Mapping[str, bytes]) -> Metadata:
    graph = next(model.tables(3), None)
    if graph is None:
        raise ValueError("it says nothing of the model's inputs and outputs")
    custom = {entry.text(0): entry.content(1) for entry in graph.tables(9)}
    activation = ""
    if SEGMENTER in custom:
        activation = ACTIVATIONS[root_of(custom[SEGMENTER], SEGMENTER_IDENTIFIER).number(0, "<b")]
    return Metadata(
        name=model.text(0), description=model.text(1), version=model.text(2), author=model.text(4), licence=model.text(5),
        min_parser_version=model.text(7),
        inputs=tuple(_tensor(tensor, files) for tensor in graph.tables(2)),
        outputs=tuple(_tensor(tensor, files) for tensor in graph.tables(3)),
        activation=activation, files=files,
    )


def _tensor(tensor: Table, files: Mapping[str, bytes]) -> TensorMetadata:
    colours, width, height = _picture(tensor.table(3))
    units = (unit.table(1) for unit in tensor.tables(4) if unit.number(0, "<b") == NORMALISATION)
    unit, stats = next(units, None), tensor.table(5)
    return TensorMetadata(
        name=tensor.text(0), description=tensor.text(1), colours=colours, width=width, height=height,
        mean=unit.floats(0) if unit else (), std=unit.floats(1) if unit else (),
        least=stats.floats(1) if stats else (), greatest=stats.floats(0) if stats else (),
        labels=_labels(tensor, files),
    )


def _picture(content: Table | None) -> tuple[str, int, int]:
    """Colours, width and height, as far as they are told."""
    properties = content.table(1) if content and content.number(0, "<b") == IMAGE else None
    if properties is None:
        return "", 0, 0
    size = properties.table(1)
    width, height = (size.number(0, "<I"), size.number(1, "<I")) if size else (0, 0)
    return COLOURS[properties.number(0, "<b")], width, height


def _labels(tensor: Table, files: Mapping[str, bytes]) -> tuple[str, ...]:
    for file in tensor.tables(6):
        if file.number(2, "<b") == AXIS_LABELS:
            name = file.text(0)
            if name not in files:
                raise ValueError(f"it names {name!r}, which is not in it")
            return tuple(files[name].decode().splitlines())
    return ()
