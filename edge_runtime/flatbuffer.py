"""Reads FlatBuffers without a schema's generated code, without numpy, and without trust in their counts and references.

https://flatbuffers.dev/internals/. Whatever a file holds, a reader raises ValueError, IndexError or struct.error and nothing
else; tables are looked at where they are asked for.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

DAMAGED = (ValueError, IndexError, struct.error)
"""What reading a damaged file raises. UnicodeDecodeError is a ValueError."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table at `at`. Fields go by their number in the schema; a type of a union counts as a field before it."""

    data: bytes
    at: int

    def number(self, field: int, form: str) -> int:
        """A scalar of a struct `form`; 0, the default in the schemas read here, where it is left out."""
        place = self._slot(field)
        return 0 if place is None else read(form, self.data, place)

    def place(self, field: int) -> int | None:
        """Where the table, the vector or the text lies that a field refers to; None where it is left out."""
        slot = self._slot(field)
        return None if slot is None else slot + read("<I", self.data, slot)

    def table(self, field: int) -> "Table | None":
        """The table that a field refers to."""
        place = self.place(field)
        return None if place is None else Table(self.data, place)

    def length(self, field: int) -> int:
        """Items of a vector."""
        return self.vector(field)[1]

    def numbers(self, field: int) -> list[int]:
        """A vector of int32."""
        start, count = self.vector(field)
        return list(struct.unpack_from(f"<{count}i", self.data, start))

    def floats(self, field: int) -> tuple[float, ...]:
        """A vector of float32."""
        start, count = self.vector(field)
        return struct.unpack_from(f"<{count}f", self.data, start)

    def content(self, field: int) -> bytes:
        """A vector of bytes."""
        start, count = self.vector(field)
        return self.data[start : start + count]

    def text(self, field: int) -> str:
        """A text; empty where it is left out. Raises UnicodeDecodeError where it isn't UTF-8."""
        return self.content(field).decode()

    def tables(self, field: int) -> "Iterator[Table]":
        """A vector of tables."""
        start, count = self.vector(field)
        for place in range(start, start + 4 * count, 4):
            yield Table(self.data, place + read("<I", self.data, place))

    def vector(self, field: int) -> tuple[int, int]:
        """Where its first item lies, and how many there are."""
        place = self.place(field)
        if place is None:
            return 0, 0
        count = read("<I", self.data, place)
        if place + 4 + count > len(self.data):
            raise ValueError("a vector goes beyond the end")
        return place + 4, count

    def _slot(self, field: int) -> int | None:
        vtable = self.at - read("<i", self.data, self.at)
        entry = 4 + 2 * field
        if vtable < 0 or entry >= read("<H", self.data, vtable):
            return None
        offset = read("<H", self.data, vtable + entry)
        return self.at + offset if offset else None


def root_of(data: bytes, identifier: bytes, start: int = 0) -> Table:
    """The root table of the FlatBuffer that begins at `start`. Raises ValueError where it isn't one of that identifier."""
    if data[start + 4 : start + 8] != identifier:
        raise ValueError(f"no {identifier.decode()} identifier")
    return Table(data, start + read("<I", data, start))


def read(form: str, data: bytes, place: int) -> int:
    """One number of a struct `form`."""
    number: int = struct.unpack_from(form, data, place)[0]
    return number
