"""BMP: header, completeness and decoding (BITMAPFILEHEADER and the BITMAPINFOHEADER family of the Windows GDI)."""

import struct

import cv2
import numpy as np

from domains.core import CorruptMedia, Pixels, UnsupportedMedia
from domains.media.raster import StoredPicture, imdecode

_BI_RGB, _BI_BITFIELDS = 0, 3


def _layout(data: bytes) -> tuple[int, int, int, int]:
    """Width, height (negative where rows are stored from the top), bits a pixel, compression."""
    try:
        if struct.unpack_from("<I", data, 14)[0] == 12:
            width, height, bits = struct.unpack_from("<HH2xH", data, 18)
            return width, height, bits, _BI_RGB
        width, height, bits, compression = struct.unpack_from("<ii2xHI", data, 18)
    except struct.error as error:
        raise CorruptMedia("the BMP picture is cut short: its header is not whole") from error
    return width, height, bits, compression


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims. Raises UnsupportedMedia for a compressed BMP."""
    width, height, bits, compression = _layout(data)
    if width < 1 or height == 0:
        raise CorruptMedia("the BMP picture is broken: its header is malformed")
    if compression not in (_BI_RGB, _BI_BITFIELDS) or bits not in (1, 4, 8, 16, 24, 32):
        raise UnsupportedMedia("this kind of BMP isn't read here: only uncompressed ones of 1 to 32 bits are")
    return StoredPicture(width, abs(height), width * abs(height) * 3)


def decode_stored(data: bytes) -> Pixels:
    """uint8 RGB as stored. Raises CorruptMedia for a file that is cut short.

    A fourth byte is ignored: most writers leave it zero, which as alpha would make the whole picture transparent.
    """
    width, height, bits, _ = _layout(data)
    row_bytes = (width * bits + 31) // 32 * 4
    if int.from_bytes(data[10:14], "little") + row_bytes * abs(height) > len(data):
        raise CorruptMedia("the BMP picture is cut short: rows are missing")
    return np.asarray(imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8)
