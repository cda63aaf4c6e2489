"""What one compressed frame is before it is decoded: its own size, and whether it is whole.

A decoder believes the compressed stream and not the DICOM header, so a bomb can hide in there: a 64x64 picture whose
JPEG 2000 stream says 60000x60000.
"""

import struct
from itertools import pairwise

from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    UID,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from domains.core import CorruptMedia
from domains.media import jpeg
from domains.media.dicom.header import PixelDescription

_JPEG_LIKE = frozenset({*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes})
_PROCESSES = {JPEGLossless: jpeg.LOSSLESS, JPEGLosslessSV1: jpeg.LOSSLESS,
              **dict.fromkeys(JPEGLSTransferSyntaxes, jpeg.JPEG_LS)}
"""The start-of-frame codes of each transfer syntax that isn't lossy JPEG."""

MAX_TILES = 4096
"""Of JPEG 2000: 100 megapixels in tiles of 256x256 are 1,526. OpenJPEG takes some 10 KB for each, empty or not."""

_ITEM = 0xE000
_SEQUENCE_END = 0xE0DD


def checked_frame(dataset: FileDataset, description: PixelDescription, index: int, frame_count: int) -> bytes:
    """Frame `index` (from 0) of encapsulated pixel data, still compressed.

    Raises CorruptMedia unless it is whole and fits the header.
    """
    offsets = ((dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
               if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset else None)
    check_fragments(dataset.PixelData)
    frame = get_frame(dataset.PixelData, index, extended_offsets=offsets, number_of_frames=frame_count)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == RLELossless:
        _check_rle(frame, description)
        return frame
    width, height, samples = (
        _jpeg_size(frame, description, syntax) if syntax in _JPEG_LIKE else _jpeg2000_size(frame))
    if (width, height, samples) != (description.columns, description.rows, description.samples):
        raise CorruptMedia(f"the DICOM object is broken: its compressed frame is {width}x{height} of {samples} samples, "
                           f"its header says {description.columns}x{description.rows} of {description.samples}")
    return frame


def check_fragments(pixel_data: bytes) -> None:
    """Raises CorruptMedia unless `pixel_data` is a row of whole items (PS3.5 section A.4)."""
    at = 0
    while at + 8 <= len(pixel_data):
        group, element, length = struct.unpack_from("<HHI", pixel_data, at)
        if group != 0xFFFE or element not in (_ITEM, _SEQUENCE_END):
            break
        if element == _SEQUENCE_END:
            return
        at += 8 + length
    if at != len(pixel_data):
        raise CorruptMedia("the DICOM object is broken or cut short: its compressed frames are not whole")


def _jpeg_size(frame: bytes, description: PixelDescription, syntax: UID) -> tuple[int, int, int]:
    """Width, height and components of a JPEG or JPEG-LS stream.

    Raises CorruptMedia where it is cut short, and where its process, tables or bits are not as they should be: gdcm
    relies on them unchecked and ends the process.
    """
    found, has_tables = None, syntax in JPEGLSTransferSyntaxes
    for segment in jpeg.segments(frame):
        found = jpeg.frame_of(frame, segment) or found
        has_tables = has_tables or segment.code == jpeg.HUFFMAN_TABLES
        if segment.code == jpeg.START_OF_SCAN and not has_tables:
            raise CorruptMedia("the DICOM object is broken: its compressed frame has no tables")
    if found is None or found.code not in _PROCESSES.get(syntax, jpeg.LOSSY):
        raise CorruptMedia("the DICOM object is broken: its compressed frame isn't what its transfer syntax says")
    other_container = found.code in jpeg.LOSSLESS and (found.precision > 8) != (description.bits_allocated > 8)
    if not 2 <= found.precision <= description.bits_allocated or other_container:
        raise CorruptMedia("the DICOM object is broken: its compressed frame has other bits than its header states")
    return found.width, found.height, found.components


def _jpeg2000_size(frame: bytes) -> tuple[int, int, int]:
    """Width, height and components in the SIZ segment of a JPEG 2000 codestream (ITU-T T.800 A.5.1)."""
    if frame[:4] != b"\xff\x4f\xff\x51" or len(frame) < 42:
        raise CorruptMedia("the DICOM object is broken: its compressed frame has no header")
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">IIIIII", frame, 8)
    if not tile_width or not tile_height or -(-right // tile_width) * -(-bottom // tile_height) > MAX_TILES:
        raise CorruptMedia(f"the DICOM object is broken: its compressed frame has no tiles or more than {MAX_TILES}")
    if b"\xff\xd9" not in frame[-4:]:  # a padding byte or two may follow the end of codestream
        raise CorruptMedia("the DICOM object is cut short: the end of its compressed frame is missing")
    return right - left, bottom - top, struct.unpack_from(">H", frame, 40)[0]


def _check_rle(frame: bytes, description: PixelDescription) -> None:
    """Raises CorruptMedia unless each segment unpacks to one byte plane (PS3.5 annex G).

    pydicom unpacks first and compares then; two bytes can become 128.
    """
    count = struct.unpack_from("<I", frame)[0]
    if len(frame) < 64 or count > 15:
        raise CorruptMedia("the DICOM object is broken: its RLE header is malformed")
    offsets = [*struct.unpack_from(f"<{count}I", frame, 4), len(frame)]
    plane = description.rows * description.columns
    for start, stop in pairwise(offsets):
        # At worst each byte is a run of its own, of two bytes; padding makes the length even.
        fits = 64 <= start < stop <= len(frame) and stop - start <= 2 * plane + 2
        if not fits or not plane <= _unpacked_size(frame, start, stop, plane) <= 2 * plane:
            raise CorruptMedia("the DICOM object is broken or cut short: an RLE segment has another size than the frame")


def _unpacked_size(frame: bytes, start: int, stop: int, enough: int) -> int:
    """How many bytes the PackBits data in `frame[start:stop]` hold; counting ends beyond twice `enough`."""
    at, size = start, 0
    while at < stop and size <= 2 * enough:
        header = frame[at]
        if header < 128:
            size += header + 1
            at += header + 2
        elif header > 128:
            size += 257 - header
            at += 2
        else:
            at += 1
    return size
