"""The two calls of this package: what a file is, and the pixels of one of its frames."""

from typing import Protocol

from domains.core import CorruptMedia, Image, InvalidParameter, MediaHeader, Pixels
from domains.media import bmp, jpeg, png, pnm, tiff, webp
from domains.media.limits import Limits
from domains.media.raster import StoredPicture, upright
from domains.media.seam import foreign_code
from domains.media.sniff import sniff

Payload = bytes | memoryview

BROKEN_HEADER = "the header of the picture is broken or cut short"
BROKEN = "the picture is broken or cut short: it could not be decoded"


def read_header(payload: Payload, limits: Limits) -> MediaHeader:
    """What `payload` is, from its first bytes and its header alone; nothing is decoded.

    Raises EmptyMedia, MediaTooLarge where it asks for more than `limits`, UnsupportedMedia for what isn't read here (or
    is too small to analyse), CorruptMedia for a header that is broken or cut short. A picture whose header is whole but
    whose data are not may be found out only by `decode`.
    """
    limits.check_payload(len(payload))
    data = bytes(payload)
    media_format = sniff(data)
    # Late imports stand outside of the seam: a library that is missing is no fault of the file.
    if media_format == "dicom":
        from domains.media import dicom

        with foreign_code(BROKEN_HEADER):
            return dicom.read_header(data, limits)
    still_format = _still_format(media_format)
    with foreign_code(BROKEN_HEADER):
        return MediaHeader(media_format, *_read_stored(still_format, data, limits).upright_size)


def decode(payload: Payload, header: MediaHeader, limits: Limits, *, frame_number: int = 1,
           min_side: int | None = None) -> Image:
    """Frame `frame_number` (from 1) as upright uint8 RGB, at full size or, where `min_side` allows it, smaller.

    `header`: what `read_header` gave for `payload`. `min_side`: a JPEG may be halved up to three times while its shorter
    side keeps this many pixels, which decodes faster; None asks for full size.

    Raises InvalidParameter (`parameter` is "frame") for a frame that isn't there, else as `read_header` does.
    """
    if not 1 <= frame_number <= header.frame_count:
        frames = "1 frame" if header.frame_count == 1 else f"{header.frame_count} frames, numbered from 1"
        raise InvalidParameter(f"the file has {frames}; frame {frame_number} was asked for", parameter="frame")
    limits.check_payload(len(payload))
    if header.format == "pnm":
        with foreign_code(BROKEN):
            return pnm.decode(payload, header, limits)
    data = bytes(payload)
    if header.format == "dicom":
        from domains.media import dicom

        with foreign_code(BROKEN):
            return dicom.decode(data, header, limits, frame_number)
    return Image(_decode_still(data, header, limits, min_side), header.width, header.height)


def _decode_still(data: bytes, header: MediaHeader, limits: Limits, min_side: int | None) -> Pixels:
    still_format = _still_format(header.format)
    with foreign_code(BROKEN):
        stored = _read_stored(still_format, data, limits)
        divisor = jpeg.reduction(stored, min_side) if header.format == "jpeg" else 1
        as_stored = jpeg.decode_stored(data, divisor) if divisor > 1 else still_format.decode_stored(data)
        pixels = upright(as_stored, stored.orientation)
    if pixels.shape != (-(-header.height // divisor), -(-header.width // divisor), 3):
        raise CorruptMedia("the picture is broken: its data have another size than its header states")
    return pixels


class _StillFormat(Protocol):
    """What the module of each format other than DICOM offers."""

    def read_stored(self, data: bytes) -> StoredPicture:
        """What the header claims."""

    def decode_stored(self, data: bytes) -> Pixels:
        """uint8 RGB as stored."""


def _still_format(name: str) -> _StillFormat:
    if name == "heic":
        from domains.media import heic

        return heic
    return {"jpeg": jpeg, "png": png, "webp": webp, "tiff": tiff, "bmp": bmp, "pnm": pnm}[name]


def _read_stored(still_format: _StillFormat, data: bytes, limits: Limits) -> StoredPicture:
    stored = still_format.read_stored(data)
    limits.check_picture(*stored.upright_size, stored.decoded_bytes)
    return stored
