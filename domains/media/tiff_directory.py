"""The structure that TIFF files and EXIF blocks share: a byte order and a directory of tagged numbers (TIFF 6.0, 2)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from domains.core import CorruptMedia

ORIENTATION = 274

_INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""TIFF field type to struct's code: BYTE, SHORT, LONG, IFD, and BigTIFF's LONG8 and IFD8."""

MAX_FIELDS = 4096
MAX_VALUES = 2**18
"""Of one field: a strip for each row is far less. Python takes 40 bytes for each."""


@dataclass(frozen=True, slots=True)
class _Field:
    type_code: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """The first directory of `data`. Only unsigned integers are read: nothing else bears on the pixels."""

    data: bytes
    byte_order: str
    fields: Mapping[int, _Field]

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values of `tag`, or `default` where it is absent. Raises CorruptMedia if they lie outside of the file."""
        field = self.fields.get(tag)
        if field is None:
            return default
        code = _INTEGER_TYPES.get(field.type_code)
        if field.count > MAX_VALUES:
            raise CorruptMedia(f"the TIFF picture is broken: a field has more than {MAX_VALUES} values")
        if code is None or field.offset + field.count * struct.calcsize(code) > len(self.data):
            raise CorruptMedia("the TIFF picture is broken or cut short: a field points outside of the file")
        return struct.unpack_from(f"{self.byte_order}{field.count}{code}", self.data, field.offset)

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of `tag`, or `default`."""
        numbers = self.numbers(tag)
        return numbers[0] if numbers else default

    def offset_of(self, tag: int) -> tuple[int, str] | None:
        """Where the first value of `tag` stands, and its struct format with byte order; None where it is absent."""
        field = self.fields.get(tag)
        code = _INTEGER_TYPES.get(field.type_code) if field else None
        return (field.offset, self.byte_order + code) if field and code else None


def read_directory(data: bytes) -> TiffDirectory:
    """The first directory of a TIFF or BigTIFF structure. Raises CorruptMedia where it isn't whole."""
    try:
        byte_order = "<" if data[:2] == b"II" else ">"
        big = struct.unpack_from(f"{byte_order}H", data, 2)[0] == 43
        start = struct.unpack_from(byte_order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        count = struct.unpack_from(byte_order + ("Q" if big else "H"), data, start)[0]
        first, entry = (start + 8, f"{byte_order}HHQ") if big else (start + 2, f"{byte_order}HHI")
        inline = 8 if big else 4
        size = struct.calcsize(entry) + inline
        if count > min((len(data) - first) // size, MAX_FIELDS):
            raise CorruptMedia("the TIFF picture is broken or cut short: its directory is not whole")
        fields: dict[int, _Field] = {}
        for at in range(first, first + count * size, size):
            tag, type_code, values = struct.unpack_from(entry, data, at)
            offset = at + size - inline
            if values * struct.calcsize(_INTEGER_TYPES.get(type_code, "Q")) > inline:
                offset = struct.unpack_from(byte_order + ("Q" if big else "I"), data, offset)[0]
            fields.setdefault(tag, _Field(type_code, values, offset))
    except struct.error as error:
        raise CorruptMedia("the TIFF picture is broken or cut short: its directory is not whole") from error
    return TiffDirectory(data, byte_order, fields)


def orientation_of(exif: bytes) -> int:
    """EXIF's Orientation, 1 to 8; 1 (upright) where `exif` has none or can't be read.

    A broken EXIF block is no reason to refuse a photo, so this raises nothing.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        value = read_directory(exif).number(ORIENTATION, 1)
    except CorruptMedia:
        return 1
    return value if 1 <= value <= 8 else 1
