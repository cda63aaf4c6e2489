"""PNM: grey (P5) and RGB (P6) of 8 bits, as netpbm defines them; how decoded frames travel to a worker.

A comment `# region x0 y0 x1 y1 spatial_format data_type` in the header carries an ultrasound region (the DICOM attributes of
`UltrasoundRegion`), so that a frame of a DICOM clip keeps what is known of its parts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from domains.core import CorruptMedia, Image, MediaHeader, Pixels, UltrasoundRegion, UnsupportedMedia
from domains.media.limits import Limits
from domains.media.raster import StoredPicture
from domains.pnm import grey_header

_SPACE = rb"(?:[ \t\r\n]|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])%b(\d{1,9})%b(\d{1,9})%b(\d{1,5})[ \t\r\n]" % (_SPACE, _SPACE, _SPACE))
_REGION = re.compile(rb"# region (\d{1,9}) (\d{1,9}) (\d{1,9}) (\d{1,9}) (\d{1,5}) (\d{1,5})[\r\n]")

MAX_HEADER_BYTES = 16_384
"""Room for a few hundred regions; devices write up to a dozen."""


@dataclass(frozen=True, slots=True)
class _Header:
    channels: int
    width: int
    height: int
    regions: tuple[UltrasoundRegion, ...]
    size_bytes: int


def _parse(data: bytes | memoryview) -> _Header:
    head = bytes(data[:MAX_HEADER_BYTES])
    found = _HEADER.match(head)
    if found is None:
        raise CorruptMedia("the PNM picture is broken or cut short: its header is malformed")
    kind, width, height, most = (int(number) for number in found.groups())
    if most != 255:
        raise UnsupportedMedia("this kind of PNM isn't read here: only P5 and P6 of 8 bits (255) are")
    if not width or not height:
        raise CorruptMedia("the PNM picture is broken: it states no size")
    regions = tuple(_region(numbers, width, height) for numbers in _REGION.findall(head, 0, found.end()))
    return _Header(1 if kind == 5 else 3, width, height, regions, found.end())


def _region(numbers: tuple[bytes, ...], width: int, height: int) -> UltrasoundRegion:
    x0, y0, x1, y1, spatial_format, data_type = (int(number) for number in numbers)
    if not (x0 <= x1 < width and y0 <= y1 < height):
        raise CorruptMedia("the PNM picture is broken: a region lies outside of it")
    return UltrasoundRegion(x0, y0, x1, y1, spatial_format, data_type)


def read_stored(data: bytes) -> StoredPicture:
    """What the header claims. Raises UnsupportedMedia for other depths than 8 bits."""
    header = _parse(data)
    return StoredPicture(header.width, header.height, header.width * header.height * 3)


def decode_stored(data: bytes | memoryview) -> Pixels:
    """uint8 RGB. RGB isn't copied: the array looks at `data` and is read-only where that is.

    Raises CorruptMedia where there are more or fewer bytes than the header states.
    """
    return _pixels(data, _parse(data))


def decode(data: bytes | memoryview, stated: MediaHeader, limits: Limits) -> Image:
    """The picture with its regions. `stated`: what `read_header` gave. Raises as `decode_stored` does, and MediaTooLarge."""
    header = _parse(data)
    if (header.width, header.height) != (stated.width, stated.height):
        raise CorruptMedia("the PNM picture is broken: it states its size twice and differently")
    limits.check_picture(header.width, header.height, header.width * header.height * 3)
    return Image(_pixels(data, header), header.width, header.height, regions=header.regions)


def _pixels(data: bytes | memoryview, header: _Header) -> Pixels:
    expected = header.width * header.height * header.channels
    if len(data) - header.size_bytes != expected:
        raise CorruptMedia(f"the PNM picture is broken or cut short: {len(data) - header.size_bytes} bytes of pixels, "
                           f"its header states {expected}")
    flat = np.frombuffer(data, np.uint8, offset=header.size_bytes)
    if header.channels == 3:
        return flat.reshape(header.height, header.width, 3)
    return np.asarray(cv2.cvtColor(flat.reshape(header.height, header.width), cv2.COLOR_GRAY2RGB), np.uint8)


def encode(pixels: Pixels, regions: Sequence[UltrasoundRegion] = ()) -> bytes:
    """A picture file of uint8 `pixels`: grey (height, width) or RGB (height, width, 3). Raises ValueError for others."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)):
        raise ValueError(f"pixels must be uint8 (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}")
    header = grey_header(pixels.shape[1], pixels.shape[0])
    kind, sizes = (b"P5\n" if pixels.ndim == 2 else b"P6\n"), header[3:]
    comments = b"".join(
        b"# region %d %d %d %d %d %d\n"
        % (region.x0, region.y0, region.x1, region.y1, region.region_spatial_format, region.region_data_type)
        for region in regions
    )
    return b"".join((kind, comments, sizes, np.ascontiguousarray(pixels).data))


def without_colour(pixels: Pixels) -> Pixels:
    """`pixels` (height, width, 3) as (height, width) where all three channels are equal everywhere, else as they are."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.ascontiguousarray(red) if np.array_equal(red, green) and np.array_equal(green, blue) else pixels
