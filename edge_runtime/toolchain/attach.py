"""Puts a named buffer and a ZIP into a TFLite file without moving a byte of the model.

A FlatBuffer's references point forward, from a table to what lies behind it. So a new root table goes before the old file,
which stays whole, and refers to what is in it; only the vectors of buffers and of metadata are written anew, each with one
item more:

    new root, vectors | the old file as it was | the buffer's bytes | a ZIP of the files

The ZIP at the end is what TFLite Metadata prescribes for label files: readers of ZIP look for its directory from the end.
https://flatbuffers.dev/internals/, and `lite/schema/schema.fbs` of TensorFlow for the numbers of fields.
"""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

from edge_runtime.flatbuffer import DAMAGED, Table, root_of

TFLITE = b"TFL3"
SUBGRAPHS, BUFFERS, METADATA = 2, 4, 6
"""Fields of the root table. Field 0, the version, is a number; all others are references."""
_FIELDS = 10
"""Those that the root table has in LiteRT 2.3."""
_ALIGNMENT = 64
"""Nothing in a TFLite file wants more than 16; weights that the converter put at a cache line's begin stay at one."""
_TAIL_ALIGNMENT = 16
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def attach(file: bytes, name: str, content: bytes, files: Mapping[str, bytes]) -> bytes:
    """The TFLite file with `content` as its metadata `name`, in the place of an older one, and with `files` as its ZIP.

    What this function had attached before is taken off first, so that a file doesn't grow from being done again. Raises
    ValueError for what is no TFLite file, and for one that keeps its weights outside of the FlatBuffer.
    """
    try:
        model = _padded(detach(file, name), _TAIL_ALIGNMENT)
        root = root_of(model, TFLITE)
        buffers = list(root.tables(BUFFERS))
        outside = any(buffer.number(1, "<Q") > 1 for buffer in buffers)
        entries = [entry for entry in root.tables(METADATA) if entry.text(0) != name]
        head = _head(root, buffers, entries, name.encode())
    except DAMAGED as error:
        raise ValueError("it is no TFLite file, or not the whole of one") from error
    if outside:
        raise ValueError("it keeps its weights behind the FlatBuffer, as files over 2 GB do")
    tail = bytes(_TAIL_ALIGNMENT - 4) + struct.pack("<I", len(content)) + content
    return _with_zip(head + model + tail, files)


def buffer_of(root: Table, name: str) -> tuple[int, bytes] | None:
    """Where the metadata `name` of a file's root table lies, and its bytes; None where the file has none of that name.
    Raises one of DAMAGED.
    """
    for entry in root.tables(METADATA):
        if entry.text(0) == name:
            buffer = list(root.tables(BUFFERS))[entry.number(1, "<I")]
            return buffer.vector(0)[0], buffer.content(0)
    return None


def detach(file: bytes, name: str) -> bytes:
    """The file without what `attach` put around it; as it is where it has nothing of that. Raises one of DAMAGED."""
    root = root_of(file, TFLITE)
    graphs, attached = root.place(SUBGRAPHS), buffer_of(root, name)
    if graphs is None or attached is None:
        return file
    for start in range(_ALIGNMENT, graphs, _ALIGNMENT):
        if file[start + 4 : start + 8] == TFLITE and root_of(file, TFLITE, start).place(SUBGRAPHS) == graphs:
            return file[start : attached[0] - _TAIL_ALIGNMENT]
    return file


def _head(root: Table, buffers: Sequence[Table], entries: Sequence[Table], name: bytes) -> bytes:
    """What goes before the model, a multiple of the alignment long. `root` and the others are the model's own."""
    vtable = 8
    table = vtable + 4 + 2 * _FIELDS
    all_buffers = table + 4 + 4 * _FIELDS
    all_entries = all_buffers + 4 + 4 * (len(buffers) + 1)
    buffer = all_entries + 4 + 4 * (len(entries) + 1) + 8
    entry = buffer + 8 + 8
    text = entry + 12
    head = bytearray(_padded(bytes(text + 4 + len(name) + 1), _ALIGNMENT))
    fields: dict[int, int | None] = {field: root.place(field) for field in range(1, _FIELDS)}
    places = {field: place + len(head) for field, place in fields.items() if place is not None}
    places |= {BUFFERS: all_buffers, METADATA: all_entries}

    def put(form: str, at: int, *values: int) -> None:
        struct.pack_into(f"<{form}", head, at, *values)

    def vector(at: int, items: Sequence[int]) -> None:
        put("I", at, len(items))
        for slot, item in enumerate(items, 1):
            put("I", at + 4 * slot, item - at - 4 * slot)

    put("I", 0, table)
    head[4:8] = TFLITE
    put("HHH", vtable, 4 + 2 * _FIELDS, 4 + 4 * _FIELDS, 4)
    put("iI", table, table - vtable, root.number(0, "<I"))
    for field, place in places.items():
        slot = 4 + 4 * field
        put("H", vtable + 4 + 2 * field, slot)
        put("I", table + slot, place - table - slot)
    vector(all_buffers, [*(item.at + len(head) for item in buffers), buffer])
    vector(all_entries, [*(item.at + len(head) for item in entries), entry])
    put("HHH", buffer - 8, 6, 8, 4)
    put("iI", buffer, 8, len(head) + len(root.data) + _TAIL_ALIGNMENT - 4 - buffer - 4)
    put("HHHH", entry - 8, 8, 12, 4, 8)
    put("iII", entry, 8, text - entry - 4, len(buffers))
    put("I", text, len(name))
    head[text + 4 : text + 4 + len(name)] = name
    return bytes(head)


def _with_zip(file: bytes, files: Mapping[str, bytes]) -> bytes:
    """The files stored as they are (ZipInfo's way), since readers map them into memory; places are counted from the begin of the
    whole file.
    """
    stream = io.BytesIO()
    stream.write(file)
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), content)
    return stream.getvalue()


def _padded(content: bytes, alignment: int) -> bytes:
    return content + bytes(-len(content) % alignment)
