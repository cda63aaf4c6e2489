"""HEIC through libheif: header and decoding (ISO/IEC 23008-12, in the boxes of ISO/IEC 14496-12).

libheif applies the file's own rotation and mirroring: pictures come upright, and EXIF's orientation, which says the same
once more, must not be applied. It refuses a coded picture that is larger than the header states.
"""

import struct
from collections.abc import Iterator

import numpy as np
import pi_heif

from domains.core import CorruptMedia, Pixels
from domains.media.raster import StoredPicture, to_rgb8
from domains.media.seam import foreign_code

BROKEN = "the HEIC picture is broken or cut short"

MAX_BOXES = 100_000
"""A photo in tiles has a few hundred."""

_CONTAINERS = {b"meta": 4, b"iinf": 0, b"iprp": 0, b"ipco": 0}
"""Boxes whose boxes are looked at, and how many bytes come before those; iinf's depend on its version."""


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims of the primary picture. Raises CorruptMedia for a file that is cut short."""
    check_boxes(data)
    with foreign_code(BROKEN):
        width, height = pi_heif.open_heif(data).size
    # Two copies: libheif's and the one that pi_heif hands out.
    return StoredPicture(width, height, width * height * 8)


def decode_stored(data: bytes) -> Pixels:
    """uint8 RGB; 10 and 12 bits come as 8, what is transparent becomes white."""
    check_boxes(data)
    with foreign_code(BROKEN):
        file = pi_heif.open_heif(data, bgr_mode=True)  # owns the memory that the array below looks at
        return to_rgb8(np.asarray(file, np.uint8))


def check_boxes(data: bytes) -> None:
    """Raises CorruptMedia unless the boxes are whole and the names in them are text.

    pi_heif hands names to Python unchecked: one that isn't UTF-8 ends the process.
    """
    for kind, start, stop in _boxes(data):
        if kind == b"infe":
            version = data[start] if start < stop else 0
            names = data[start + (10 if version >= 3 else 8) : stop]
        elif kind == b"auxC":
            names = data[start + 4 : stop].split(b"\0")[0]
        else:
            continue
        try:
            names.decode()
        except UnicodeDecodeError as error:
            raise CorruptMedia(BROKEN) from error


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, stop) of the content of each box, those inside of `_CONTAINERS` too."""
    spans = [(0, len(data))]
    for _ in range(MAX_BOXES):
        while spans and spans[-1][0] >= spans[-1][1]:
            spans.pop()
        if not spans:
            return
        at, end = spans.pop()
        kind, start, stop = _box(data, at, end)
        spans.append((stop, end))
        yield kind, start, stop
        if kind in _CONTAINERS:
            is_long = kind == b"iinf" and start < stop and data[start] > 0
            before = 4 + (4 if is_long else 2) if kind == b"iinf" else _CONTAINERS[kind]
            spans.append((start + before, stop))
    raise CorruptMedia(f"the HEIC picture has more than {MAX_BOXES} boxes")


def _box(data: bytes, at: int, end: int) -> tuple[bytes, int, int]:
    """The box at `at`: ISO/IEC 14496-12 section 4.2. A size of 1 is followed by a longer one, 0 is "to the end"."""
    if at + 8 > end:
        raise CorruptMedia(BROKEN)
    size, kind = struct.unpack_from(">I4s", data, at)
    start = at + 8
    if size == 1 and at + 16 <= end:
        size, start = struct.unpack_from(">Q", data, start)[0], at + 16
    stop = end if size == 0 else at + size
    if not start <= stop <= end:
        raise CorruptMedia(BROKEN)
    return kind, start, stop
