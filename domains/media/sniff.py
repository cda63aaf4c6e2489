"""Which format a file is in, from its first bytes alone: a content type or a file name is only somebody's claim."""

import re
import struct

from domains.core import UnsupportedMedia
from domains.formats import HEIC_BRANDS, brands

NOT_A_PICTURE = "not a picture format that is read here: JPEG, PNG, WebP, TIFF, BMP, HEIC, PNM or DICOM"

_MAGICS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png",
           b"II*\0": "tiff", b"MM\0*": "tiff", b"II+\0": "tiff", b"MM\0+": "tiff"}
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_PNM = re.compile(rb"P[56][ \t\r\n]")
_DICOM_PREAMBLE = 128


def sniff(data: bytes) -> str:
    """`jpeg`, `png`, `webp`, `tiff`, `bmp`, `heic`, `pnm` or `dicom`. Raises UnsupportedMedia for anything else."""
    # DICOM comes first: its preamble may hold another format's first bytes (PS3.10 section 7.1), as TIFF's on slides.
    if _is_dicom(data):
        return "dicom"
    for magic, name in _MAGICS.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADER_SIZES:
        return "bmp"
    if data[4:8] == b"ftyp" and HEIC_BRANDS & brands(data):
        return "heic"
    if _PNM.match(data):
        return "pnm"
    raise UnsupportedMedia(NOT_A_PICTURE)


def _is_dicom(data: bytes) -> bool:
    """A Part 10 file, or a data set without preamble, as old archives write them.

    The latter starts with file meta information (group 0002) or with group 0008, either byte order, whose first
    element has an explicit VR or a short value: no text starts so.
    """
    if data[_DICOM_PREAMBLE : _DICOM_PREAMBLE + 4] == b"DICM":
        return True
    if len(data) < 8 or data[:2] not in (b"\x08\0", b"\x02\0", b"\0\x08"):
        return False
    explicit = data[4:6].isalpha() and data[4:6].isupper()
    return explicit or struct.unpack_from("<I", data, 4)[0] <= 64
