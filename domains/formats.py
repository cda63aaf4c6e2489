"""Which clip format a file is in, from its first bytes. Free of numpy and decoders: the gateway's own process asks it."""

import struct

HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
"""ISO/IEC 23008-12 annex B: pictures in the same boxes as MP4, coded as HEVC."""
_OTHER_STILLS = frozenset({b"mif1", b"msf1", b"avif", b"avis"})
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""First boxes of QuickTime files from before `ftyp`: QuickTime File Format, "Movie files"."""
_FRAGMENT_BOXES = frozenset({b"styp", b"moof", b"sidx"})
"""First boxes of a segment of fragmented MP4: ISO/IEC 23009-1 section 6.3."""

_MAGICS = {b"\x1a\x45\xdf\xa3": "webm", b"GIF87a": "gif", b"GIF89a": "gif", b"\0\0\1\xba": "mpeg", b"\0\0\1\xb3": "mpeg"}
"""EBML; GIF; the start codes of an MPEG pack and of a video sequence: ISO/IEC 13818-1 table 2-33, 13818-2 table 6-1."""

_SYNC = 0x47
_PACKET_SIZES = ((188, 0), (192, 4))
"""Of MPEG transport streams, and where the sync byte stands: ISO/IEC 13818-1 section 2.4.3.2; the second is of Blu-ray's."""

_PREAMBLE = 128


def clip_format(data: bytes | memoryview) -> str:
    """`mp4`, `mov`, `avi`, `webm` (Matroska too), `gif`, `mpeg` (program or elementary stream) or `mpegts`; "" for the rest.

    Only the first few hundred bytes are looked at. A DICOM object is no clip by this, whatever its preamble holds.
    """
    head = bytes(data[: 3 * 192])
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return ""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for magic, name in _MAGICS.items():
        if head.startswith(magic):
            return name
    if _is_transport_stream(head):
        return "mpegts"
    return _by_first_box(head)


def _by_first_box(head: bytes) -> str:
    """Of ISO base media files and QuickTime: ISO/IEC 14496-12 sections 4.2 and 4.3."""
    if len(head) < 12:
        return ""
    size, kind, brand = struct.unpack_from(">I4s4s", head)
    if kind == b"ftyp":
        if brand in _OTHER_STILLS or HEIC_BRANDS & brands(head):
            return ""
        return "mov" if brand == b"qt  " else "mp4"
    if size not in (0, 1) and size < 8:
        return ""
    if kind in _FRAGMENT_BOXES:
        return "mp4"
    return "mov" if kind in _QUICKTIME_BOXES else ""


def brands(data: bytes) -> set[bytes]:
    """The major and the compatible brands of an ISO base media file, at least 12 bytes: ISO/IEC 14496-12 section 4.3."""
    size = min(struct.unpack_from(">I", data)[0], len(data), 256)
    return {data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4))}


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > at + 2 * size and head[at] == head[at + size] == head[at + 2 * size] == _SYNC
        for size, at in _PACKET_SIZES
    )
