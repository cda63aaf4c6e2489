"""PNG: header, completeness and decoding (ISO/IEC 15948; the eXIf chunk by the PNG extensions 1.5)."""

import struct
from collections.abc import Iterator

import cv2

from domains.core import CorruptMedia, Pixels
from domains.media.raster import StoredPicture, imdecode, to_rgb8
from domains.media.tiff_directory import orientation_of

MAX_CHUNKS = 100_000
"""A 64 MiB file cut in the usual 8 KiB chunks has 8,192."""

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}
"""Colour type to the channels that OpenCV gives: grey, RGB, palette, grey with alpha, RGBA."""


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, stop) of each chunk's content, up to and with IEND. Raises CorruptMedia where that is missing."""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 8 + length
        if stop + 4 > len(data):
            break
        yield kind, at + 8, stop
        if kind == b"IEND":
            return
        at = stop + 4
    else:
        raise CorruptMedia(f"the PNG picture has more than {MAX_CHUNKS} chunks")
    raise CorruptMedia("the PNG picture is cut short: its end is missing")


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims. Raises CorruptMedia for a file that is cut short."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise CorruptMedia("the PNG picture is broken or cut short: it has no header")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    if not width or not height or colour_type not in _CHANNELS:
        raise CorruptMedia("the PNG picture is broken: its header is malformed")
    channels, orientation = _CHANNELS[colour_type], 1
    decoded_bytes = width * height * channels * (2 if depth == 16 else 1)
    for kind, start, stop in _chunks(data):
        if kind == b"eXIf":
            orientation = orientation_of(data[start:stop])
        elif kind == b"tRNS":
            decoded_bytes = width * height * 4 * (2 if depth == 16 else 1)
    return StoredPicture(width, height, decoded_bytes, orientation)


def decode_stored(data: bytes) -> Pixels:
    """uint8 RGB as stored; of an animated PNG its first frame."""
    return to_rgb8(imdecode(data, cv2.IMREAD_UNCHANGED))
