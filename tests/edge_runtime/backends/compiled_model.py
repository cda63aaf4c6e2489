"""A TFLite file as the Edge TPU compiler makes them: all of the model in one operation that only libedgetpu knows."""

import flatbuffers
from flatbuffers.builder import Builder

INT8, CUSTOM = 9, 32


def compiled_model(*, height: int = 4, width: int = 4, outputs: int = 3, operation: str = "edgetpu-custom-op") -> bytes:
    """A file with an int8 input (1, height, width, 3) and an int8 output (1, outputs)."""
    made = Builder(1024)
    tensors = [
        _table(made, 4, [(0, "offset", _numbers(made, shape)), (1, "byte", INT8), (3, "offset", made.CreateString(name))])
        for name, shape in (("input", [1, height, width, 3]), ("output", [1, outputs]))
    ]
    operator = _table(made, 3, [(1, "offset", _numbers(made, [0])), (2, "offset", _numbers(made, [1]))])
    graph = _table(made, 5, [
        (0, "offset", _tables(made, tensors)), (1, "offset", _numbers(made, [0])), (2, "offset", _numbers(made, [1])),
        (3, "offset", _tables(made, [operator])),
    ])
    code = _table(made, 4, [(0, "byte", CUSTOM), (1, "offset", made.CreateString(operation)), (2, "int", 1), (3, "int", CUSTOM)])
    empty = _table(made, 1, [])
    model = _table(made, 5, [
        (0, "uint", 3), (1, "offset", _tables(made, [code])), (2, "offset", _tables(made, [graph])),
        (4, "offset", _tables(made, [empty])),
    ])
    made.Finish(model, file_identifier=b"TFL3")
    return bytes(made.Output())


def _table(made: Builder, fields: int, filled: list[tuple[int, str, int]]) -> int:
    made.StartObject(fields)
    for number, kind, value in filled:
        if kind == "offset":
            made.PrependUOffsetTRelativeSlot(number, value, 0)
        elif kind == "byte":
            made.PrependInt8Slot(number, value, 0)
        elif kind == "uint":
            made.PrependUint32Slot(number, value, 0)
        else:
            made.PrependInt32Slot(number, value, 0)
    return int(made.EndObject())


def _tables(made: Builder, tables: list[int]) -> int:
    made.StartVector(flatbuffers.number_types.UOffsetTFlags.bytewidth, len(tables), 4)
    for table in reversed(tables):
        made.PrependUOffsetTRelative(table)
    return int(made.EndVector())


def _numbers(made: Builder, numbers: list[int]) -> int:
    made.StartVector(4, len(numbers), 4)
    for number in reversed(numbers):
        made.PrependInt32(number)
    return int(made.EndVector())
