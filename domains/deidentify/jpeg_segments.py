"""A JPEG or JPEG-LS stream without anything that isn't needed to decode it (ITU-T T.81, T.87, T.871, T.872).

The coded pixels are copied as they are. Gone are comments, EXIF, XMP, IPTC, colour profiles, thumbnails, and whatever
follows the end of the image: phones put further pictures there.
"""

from collections.abc import Iterator

from domains.core import CorruptMedia
from domains.media.jpeg import START_OF_SCAN, segments

_SOI, _EOI, _APP0, _APP1, _APP8, _APP14 = 0xD8, 0xD9, 0xE0, 0xE1, 0xE8, 0xEE
_NEEDED = frozenset({
    *range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF,  # frames, tables, scans, lines, restarts, hierarchy
    0xF7, 0xF8,  # JPEG-LS: frame, parameters
}) - {0xC8}
MAX_SEGMENT = 65_533


def bare_jpeg(data: bytes, exif: bytes = b"") -> bytes:
    """The first image in `data`, bare but for `exif`, a TIFF structure (none where empty).

    Raises CorruptMedia for a stream that is broken or cut short.
    """
    parts = [bytes((0xFF, _SOI)), *_colour_segments(data)]
    if exif:
        parts.append(_segment(_APP1, b"Exif\0\0" + exif))
    found, scan_from = list(segments(data)), None
    for segment in found:
        head = segment.start - (2 if segment.code == _EOI else 4)
        if scan_from is not None:
            parts.append(data[scan_from:head])
            scan_from = None
        if segment.code == _EOI:
            parts.append(bytes((0xFF, _EOI)))
        elif segment.code in _NEEDED:
            parts.append(_segment(segment.code, data[segment.start : segment.stop]))
            scan_from = segment.stop if segment.code == START_OF_SCAN else None
    return b"".join(parts)


def _colour_segments(data: bytes) -> Iterator[bytes]:
    """What tells decoders the colour space, each cut to just that; JFIF comes first, as T.871 wants it."""
    kept: dict[int, bytes] = {}
    for segment in segments(data):
        content = data[segment.start : segment.stop]
        if segment.code == _APP0 and content.startswith(b"JFIF\0") and len(content) >= 12:
            kept.setdefault(_APP0, content[:12] + b"\0\0")  # without the thumbnail
        elif segment.code == _APP8 and content.startswith(b"mrfx") and len(content) >= 5:
            kept.setdefault(_APP8, content[:5])  # the colour transform of HP's JPEG-LS
        elif segment.code == _APP14 and content.startswith(b"Adobe") and len(content) >= 12:
            kept.setdefault(_APP14, content[:5] + content[5:7] + b"\0\0\0\0" + content[11:12])
    return (_segment(code, kept[code]) for code in sorted(kept))


def _segment(code: int, content: bytes) -> bytes:
    if len(content) > MAX_SEGMENT:
        raise CorruptMedia("the JPEG picture is broken: a segment is too long")
    return bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, "big") + content
