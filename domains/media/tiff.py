"""TIFF and BigTIFF: header, completeness and decoding of the first page (TIFF 6.0)."""

import struct

import cv2
import numpy as np

from domains.core import CorruptMedia, Pixels, UnsupportedMedia
from domains.media.raster import Samples, StoredPicture, imdecode, to_rgb8
from domains.media.tiff_directory import ORIENTATION, TiffDirectory, read_directory

_NEW_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339

_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
"""None, CCITT run-length, Group 3 and 4, LZW, JPEG, deflate (both numbers), PackBits: what OpenCV's libtiff holds."""

_RGB = 2
_BITS_OF = {0: (1, 8, 16), 1: (1, 8, 16), _RGB: (8, 16), 3: (8,), 5: (8,), 6: (8,)}
"""Photometric interpretation to the bits a sample that are read: grey (white or black is 0), RGB, palette, CMYK, YCbCr."""

_PREVIEW = 1
_UNSIGNED = 1
_PLANES = 2
_PREMULTIPLIED, _STRAIGHT = 1, 2


def read_stored(data: bytes) -> StoredPicture:
    """What the first page claims.

    Raises UnsupportedMedia for compressions and sample kinds that aren't read. Floating-point TIFFs are among them: the
    file doesn't say which values are black and white. So are raw photos, whose first page is only a preview.
    """
    page = read_directory(data)
    width, height = page.number(_WIDTH), page.number(_LENGTH)
    if not width or not height:
        raise CorruptMedia("the TIFF picture is broken: it states no size")
    _check_kind(page)
    # libtiff turns most kinds into four bytes a pixel; a tile is decoded whole even where the picture is smaller.
    sample_bytes = page.number(_BITS, 1) // 8 or 1
    tile_bytes = page.number(_TILE_WIDTH) * page.number(_TILE_LENGTH) * page.number(_SAMPLES, 1) * sample_bytes
    orientation = page.number(ORIENTATION, 1)
    return StoredPicture(width, height, width * height * 4 * sample_bytes + tile_bytes,
                         orientation if 1 <= orientation <= 8 else 1)


def _check_kind(page: TiffDirectory) -> None:
    compression, photometric, samples = page.number(_COMPRESSION, 1), page.number(_PHOTOMETRIC), page.number(_SAMPLES, 1)
    bits = page.numbers(_BITS, (1,))
    if page.number(_NEW_SUBFILE_TYPE) & _PREVIEW:
        raise UnsupportedMedia("the first page of this TIFF is only a preview, as in raw photos")
    if compression not in _COMPRESSIONS:
        raise UnsupportedMedia(f"TIFF compression {compression} isn't read here")
    if set(page.numbers(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED} or len(set(bits)) != 1:
        raise UnsupportedMedia("this kind of TIFF isn't read here: samples must be unsigned integers of one size")
    if photometric not in _BITS_OF or not 1 <= samples <= 4:
        raise UnsupportedMedia("this colour space of TIFF isn't read here: grey, palette, RGB, YCbCr and CMYK are")
    if bits[0] not in _BITS_OF[photometric] or (_has_alpha(page) and bits[0] == 16 and page.number(_PLANAR) == _PLANES):
        raise UnsupportedMedia(f"a TIFF of this colour space with {bits[0]} bits a sample isn't read here")


def _has_alpha(page: TiffDirectory) -> bool:
    return (page.number(_PHOTOMETRIC) == _RGB and page.number(_SAMPLES, 1) == 4
            and page.number(_EXTRA_SAMPLES) in (_PREMULTIPLIED, _STRAIGHT))


def decode_stored(data: bytes) -> Pixels:
    """uint8 RGB as stored; 65535 becomes 255, what is transparent becomes white.

    Raises CorruptMedia where strips or tiles are missing.
    """
    page = read_directory(data)
    _check_whole(page)
    as_stored = _without_orientation(page)
    if not _has_alpha(page):
        return np.asarray(imdecode(as_stored, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION), np.uint8)
    picture = imdecode(as_stored, cv2.IMREAD_UNCHANGED)
    # At 8 bits libtiff has multiplied by alpha already, whatever the file says; at 16 it hands out what is stored.
    if picture.dtype == np.uint8 or page.number(_EXTRA_SAMPLES) == _PREMULTIPLIED:
        return _premultiplied_over_white(picture)
    return to_rgb8(picture)


def _premultiplied_over_white(picture: Samples) -> Pixels:
    if picture.dtype == np.uint16:
        picture = np.asarray(cv2.convertScaleAbs(picture, alpha=1 / 257), np.uint8)
    transparency = cv2.cvtColor(cv2.bitwise_not(picture[:, :, 3]), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.add(cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB), transparency), np.uint8)


def _check_whole(page: TiffDirectory) -> None:
    """Raises CorruptMedia unless all strips or tiles are there: libtiff would leave the missing ones black."""
    width, height = page.number(_WIDTH), page.number(_LENGTH)
    if page.number(_TILE_WIDTH):
        offsets, sizes = page.numbers(_TILE_OFFSETS), page.numbers(_TILE_BYTES)
        expected = -(-width // page.number(_TILE_WIDTH)) * -(-height // max(page.number(_TILE_LENGTH), 1))
    else:
        offsets, sizes = page.numbers(_STRIP_OFFSETS), page.numbers(_STRIP_BYTES)
        expected = -(-height // max(page.number(_ROWS_PER_STRIP, height), 1))
    if page.number(_PLANAR) == _PLANES:
        expected *= page.number(_SAMPLES, 1)
    if len(offsets) < expected or len(sizes) < expected:
        raise CorruptMedia("the TIFF picture is broken: strips or tiles are missing")
    if any(offset + size > len(page.data) or not size for offset, size in zip(offsets, sizes, strict=False)):
        raise CorruptMedia("the TIFF picture is cut short: strips or tiles lie outside of the file")


def _without_orientation(page: TiffDirectory) -> bytes:
    """The file with its Orientation set to upright: OpenCV applies that of a TIFF even where told to ignore it."""
    where = page.offset_of(ORIENTATION)
    if where is None:
        return page.data
    changed = bytearray(page.data)
    struct.pack_into(where[1], changed, where[0], 1)
    return bytes(changed)
