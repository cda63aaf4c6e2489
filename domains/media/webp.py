"""WebP: header, completeness and decoding (RFC 9649)."""

import struct

import cv2

from domains.core import CorruptMedia, Pixels
from domains.media.raster import StoredPicture, imdecode, to_rgb8
from domains.media.tiff_directory import orientation_of

MAX_CHUNKS = 10_000
_ANIMATION = 0x02


def _chunks(data: bytes) -> dict[bytes, tuple[int, int]]:
    """The first chunk of each type: where its content lies. Raises CorruptMedia for a file that is cut short."""
    end = 8 + int.from_bytes(data[4:8], "little")
    found: dict[bytes, tuple[int, int]] = {}
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > end:
            return found
        kind, length = struct.unpack_from("<4sI", data, at) if at + 8 <= len(data) else (b"", len(data))
        if at + 8 + length > len(data):
            raise CorruptMedia("the WebP picture is cut short: its end is missing")
        found.setdefault(kind, (at + 8, at + 8 + length))
        at += 8 + length + length % 2
    raise CorruptMedia(f"the WebP picture has more than {MAX_CHUNKS} chunks")


def _lossy_size(content: bytes) -> tuple[int, int]:
    """Width and height in a VP8 key frame: RFC 6386 section 9.1."""
    if len(content) < 10 or content[3:6] != b"\x9d\x01\x2a":
        raise CorruptMedia("the WebP picture is broken: its key frame is malformed")
    width, height = struct.unpack_from("<HH", content, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(content: bytes) -> tuple[int, int]:
    """Width and height in a VP8L header: RFC 9649 section 3.4."""
    if len(content) < 5 or content[0] != 0x2F:
        raise CorruptMedia("the WebP picture is broken: its header is malformed")
    bits = int.from_bytes(content[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims. Raises CorruptMedia for a file that is cut short or contradicts itself."""
    chunks = _chunks(data)
    size, animated, orientation = None, False, 1
    if b"VP8 " in chunks:
        start = chunks[b"VP8 "][0]
        size = _lossy_size(data[start : start + 10])
    elif b"VP8L" in chunks:
        start = chunks[b"VP8L"][0]
        size = _lossless_size(data[start : start + 5])
    if b"VP8X" in chunks:
        start, stop = chunks[b"VP8X"]
        if stop - start < 10:
            raise CorruptMedia("the WebP picture is broken: its header is malformed")
        canvas = (int.from_bytes(data[start + 4 : start + 7], "little") + 1,
                  int.from_bytes(data[start + 7 : start + 10], "little") + 1)
        animated = bool(data[start] & _ANIMATION)
        if not animated and size != canvas:
            raise CorruptMedia("the WebP picture is broken: its headers state different sizes")
        size = canvas
    if size is None or not all(size):
        raise CorruptMedia("the WebP picture is broken: it has no image data")
    if b"EXIF" in chunks:
        orientation = orientation_of(data[slice(*chunks[b"EXIF"])])
    # An animation keeps its canvas and the frame under way, RGBA each.
    return StoredPicture(*size, decoded_bytes=size[0] * size[1] * (8 if animated else 4), orientation=orientation)


def decode_stored(data: bytes) -> Pixels:
    """uint8 RGB as stored; of an animation its first frame."""
    return to_rgb8(imdecode(data, cv2.IMREAD_UNCHANGED))
