"""The little EXIF that a photo keeps: how it is turned and, where the tenant wants it, where and when it was taken (CIPA DC-008).

Only numbers pass, and texts of a closed form; everything is written anew, so nothing hides between the values.
"""

import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

_ORIENTATION, _EXIF, _GPS = 0x0112, 0x8769, 0x8825
_TAKEN, _TAKEN_OFFSET = 0x9003, 0x9011

_GPS_NUMBERS = frozenset({0x02, 0x04, 0x05, 0x06, 0x07, 0x0B, 0x11, 0x1F})
"""Latitude, longitude, altitude with its reference, time, precision, direction, error: their values are numbers."""
_GPS_TEXTS = {
    0x01: re.compile(r"[NS]"), 0x03: re.compile(r"[EW]"), 0x10: re.compile(r"[TM]"), 0x12: re.compile(r"WGS-?84"),
    0x1D: re.compile(r"\d{4}:\d\d:\d\d"),
}
"""Their references, the direction's, the datum, the date."""
_TIMES = {
    _TAKEN: re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d"), _TAKEN_OFFSET: re.compile(r"[+-]\d\d:\d\d"),
}
_GPS_VERSION = {0x00: b"\x02\x03\x00\x00"}
UPRIGHT = 1


def kept_exif(block: bytes, orientation: int, *, keep_gps: bool) -> bytes:
    """A new EXIF structure for a picture that had `block`; empty where there is nothing to say.

    `orientation`: EXIF's 1 to 8. A `block` that can't be read gives no place.
    """
    kept, gps = Image.Exif(), _place(block) if keep_gps else {}
    if orientation != UPRIGHT:
        kept[_ORIENTATION] = orientation
    if gps:
        kept[_GPS] = _GPS_VERSION | gps[_GPS]
        if gps[_EXIF]:
            kept[_EXIF] = gps[_EXIF]
    return kept.tobytes().removeprefix(b"Exif\0\0") if len(kept) else b""


def _place(block: bytes) -> Mapping[int, dict[int, Any]]:
    read = Image.Exif()
    try:
        read.load(block)
        gps, taken = dict(read.get_ifd(_GPS)), dict(read.get_ifd(_EXIF))
    except Exception:  # whatever Pillow makes of a broken block: the place is lost, and nothing else
        return {}
    place = {tag: value for tag, value in gps.items() if _is_number(tag, value) or _has_form(_GPS_TEXTS, tag, value)}
    if not {0x02, 0x04} <= place.keys():
        return {}
    return {_GPS: place, _EXIF: {tag: value for tag, value in taken.items() if _has_form(_TIMES, tag, value)}}


def _is_number(tag: int, value: Any) -> bool:
    if tag not in _GPS_NUMBERS:
        return False
    if isinstance(value, bytes):
        return len(value) == 1  # of one BYTE: the altitude's reference
    try:
        return all(float(part) == float(part) for part in (value if isinstance(value, tuple) else (value,)))
    except (TypeError, ValueError, ZeroDivisionError):
        return False


def _has_form(forms: Mapping[int, re.Pattern[str]], tag: int, value: Any) -> bool:
    return tag in forms and isinstance(value, str) and forms[tag].fullmatch(value.rstrip("\0")) is not None
