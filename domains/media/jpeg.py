"""JPEG: header, completeness, and decoding at full or reduced scale (ITU-T T.81; EXIF in APP1 by CIPA DC-008)."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from domains.core import CorruptMedia, Pixels, UnsupportedMedia
from domains.media.raster import StoredPicture, imdecode
from domains.media.tiff_directory import orientation_of

CUT_SHORT = "the JPEG picture is cut short: its end is missing"

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_END_OF_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
"""The marker that ends entropy-coded data. A 0xFF inside is followed by 0x00 (T.81 B.1.1.5), in JPEG-LS by a byte below
0x80 (T.87 A.1), or it starts a restart marker (D0 to D7)."""

_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
HUFFMAN_TABLES, START_OF_SCAN = 0xC4, 0xDA
LOSSY, LOSSLESS, JPEG_LS = frozenset({0xC0, 0xC1, 0xC2}), frozenset({0xC3}), frozenset({0xF7})
"""Start-of-frame codes: baseline, extended and progressive; lossless; T.87."""

_SOI, _EOI, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xE0, 0xE1, 0xEE
_PROGRESSIVE = 0xC2

MAX_SEGMENTS = 10_000
"""An honest file has a few dozen; a hostile one could keep us walking through millions of empty comments."""
MAX_SCANS = 100
"""Each progressive scan visits every coefficient again: a thousand tiny ones make a small file take minutes."""

_SCALE_FLAGS = {1: 0, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
                8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
"""The bare scale bits: with IMREAD_COLOR_RGB they give colour, as IMREAD_REDUCED_COLOR_* do in BGR order."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker segment: its code, and where its content lies, without the marker and the length."""

    code: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A start-of-frame segment: T.81 B.2.2, T.87 C.2.2."""

    code: int
    precision: int
    height: int
    width: int
    components: int


def segments(data: bytes, start: int = 0) -> Iterator[Segment]:
    """The segments of the JPEG (or JPEG-LS) stream at `start`, up to and with its end of image.

    Bytes after the end are left alone: phones put more pictures and metadata there. Raises CorruptMedia where the
    stream stops before its end of image: a decoder would fill up with grey and say nothing.
    """
    at, scans = start + 2, 0
    pattern = _MARKER
    for _ in range(MAX_SEGMENTS):
        match = pattern.search(data, at)
        if match is None:
            raise CorruptMedia(CUT_SHORT)
        pattern, at, code = _MARKER, match.end(), data[match.end() - 1]
        if code in _STANDALONE:
            continue
        if code == _EOI:
            yield Segment(code, at, at)
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or code == _SOI:
            raise CorruptMedia("the JPEG picture is broken or cut short: a segment is malformed")
        if at + length > len(data):
            raise CorruptMedia(CUT_SHORT)
        yield Segment(code, at + 2, at + length)
        at += length
        if code == START_OF_SCAN:
            pattern, scans = _END_OF_SCAN, scans + 1
            if scans > MAX_SCANS:
                raise CorruptMedia(f"the JPEG picture has more than {MAX_SCANS} scans")
    raise CorruptMedia(f"the JPEG picture has more than {MAX_SEGMENTS} segments")


def frame_of(data: bytes, segment: Segment) -> Frame | None:
    """The frame that `segment` starts, or None for another kind. Raises CorruptMedia for a malformed one."""
    if segment.code not in _START_OF_FRAME:
        return None
    if segment.stop - segment.start < 6:
        raise CorruptMedia("the JPEG picture is broken: its frame header is malformed")
    return Frame(segment.code, *struct.unpack_from(">BHHB", data, segment.start))


def colour_markers(data: bytes) -> tuple[bool, int | None]:
    """Whether there is a JFIF marker, and the colour transform of the Adobe marker (None without one).

    Decoders choose between RGB and YCbCr by these: ITU-T T.871 section 7 and T.872 section 6.5.3.
    """
    has_jfif, transform = False, None
    for segment in segments(data):
        if segment.code == _APP0 and data.startswith(b"JFIF\0", segment.start):
            has_jfif = True
        elif segment.code == _APP14 and data.startswith(b"Adobe", segment.start) and segment.stop - segment.start >= 12:
            transform = data[segment.start + 11]
    return has_jfif, transform


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims. Raises UnsupportedMedia for lossless, arithmetic-coded and 12-bit JPEG."""
    frame, orientation = None, 1
    for segment in segments(data):
        if segment.code == _APP1 and data.startswith(b"Exif\0\0", segment.start):
            orientation = orientation_of(data[segment.start : segment.stop])
        elif segment.code == START_OF_SCAN:
            interleaved = frame is not None and data[segment.start] == frame.components
            return _stored(frame, orientation, whole_coefficients=not interleaved)
        else:
            frame = frame_of(data, segment) or frame
    raise CorruptMedia("the JPEG picture is broken: it has no image data")


def _stored(frame: Frame | None, orientation: int, *, whole_coefficients: bool) -> StoredPicture:
    if frame is None or not frame.width:
        raise CorruptMedia("the JPEG picture is broken: it has no frame header")
    if frame.code not in LOSSY or frame.precision != 8 or not frame.height:
        raise UnsupportedMedia("this kind of JPEG isn't read here: only 8-bit baseline, extended and progressive are")
    if frame.components not in (1, 3, 4):
        raise UnsupportedMedia(f"a JPEG of {frame.components} components isn't read here")
    # Where the components come in scans of their own, libjpeg keeps all coefficients, two bytes each.
    coefficients = 2 * frame.components if whole_coefficients or frame.code == _PROGRESSIVE else 0
    return StoredPicture(frame.width, frame.height, frame.width * frame.height * (3 + coefficients), orientation)


def reduction(stored: StoredPicture, min_side: int | None) -> int:
    """8, 4, 2 or 1: by how much the picture may be divided while its shorter side keeps `min_side` pixels."""
    if min_side is None:
        return 1
    return next((divisor for divisor in (8, 4, 2) if min(stored.width, stored.height) // divisor >= min_side), 1)


def decode_stored(data: bytes, divisor: int = 1) -> Pixels:
    """uint8 RGB as stored, each side divided by `divisor` (1, 2, 4 or 8) and rounded up.

    Raises CorruptMedia for a picture that is cut short.
    """
    for _ in segments(data):
        pass
    # Orientation is applied by our caller, once: cv2 would do it again.
    return np.asarray(imdecode(data, _SCALE_FLAGS[divisor] | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION),
                      np.uint8)
