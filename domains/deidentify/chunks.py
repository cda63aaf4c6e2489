"""PNG and WebP files without anything that isn't needed to decode their first picture (ISO/IEC 15948, RFC 9649).

The coded pixels are copied as they are. Gone are text, EXIF, XMP, colour profiles, times, animations, and whatever
follows the end of the file's own structure.
"""

import struct
import zlib

from domains.core import CorruptMedia, UnsupportedMedia

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"})
_WEBP_NEEDED = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_ANIMATION, _ALPHA, _EXIF = 0x02, 0x10, 0x08
_VP8X_BYTES = 10


def bare_png(data: bytes, exif: bytes = b"") -> bytes:
    """The PNG file `data`, bare but for `exif`, a TIFF structure (none where empty). Raises CorruptMedia where it isn't whole."""
    parts, at = [_PNG_HEAD], len(_PNG_HEAD)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        at += 12 + length
        if at > len(data):
            break
        if exif and kind == b"IDAT":
            parts.append(_png_chunk(b"eXIf", exif))
            exif = b""
        if kind in _PNG_NEEDED:
            parts.append(_png_chunk(kind, content))
        if kind == b"IEND":
            return b"".join(parts)
    raise CorruptMedia("the PNG picture is cut short: its end is missing")


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bare_webp(data: bytes, exif: bytes = b"") -> bytes:
    """The WebP file `data`, bare but for `exif`, a TIFF structure (none where empty, or where the file has no room for it).

    Raises UnsupportedMedia for an animation, CorruptMedia where the file isn't whole.
    """
    end, at = min(8 + int.from_bytes(data[4:8], "little"), len(data)), 12
    parts: list[bytes] = []
    extended = b""
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if len(content) < length:
            raise CorruptMedia("the WebP picture is cut short: its end is missing")
        at += 8 + length + length % 2
        if kind == b"VP8X" and length >= _VP8X_BYTES:
            if content[0] & _ANIMATION:
                raise UnsupportedMedia("an animated picture can't be de-identified here: text may be shown in any frame of it")
            extended = bytes((content[0] & _ALPHA | (_EXIF if exif else 0), 0, 0, 0)) + content[4:_VP8X_BYTES]
        elif kind in _WEBP_NEEDED:
            parts.append(_webp_chunk(kind, content))
    if extended:
        parts = [_webp_chunk(b"VP8X", extended), *parts, *([_webp_chunk(b"EXIF", exif)] if exif else [])]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _webp_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)
