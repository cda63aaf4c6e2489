"""Pictures and picture files for the tests of domains/media, made on the spot."""

import io
import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from domains.core import Image, Pixels
from domains.media import Limits, decode, read_header

LIMITS = Limits()


def scene(height: int = 60, width: int = 80) -> Pixels:
    """uint8 RGB: a quarter each of red, green, blue and yellow, with a little shading. No two orientations are alike."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:] = (220, 40, 40), (40, 200, 40)
    picture[top:, :left], picture[top:, left:] = (40, 40, 220), (230, 220, 60)
    shade = np.linspace(0, 30, width).astype(np.uint8)
    return np.asarray(picture - np.minimum(picture, shade[np.newaxis, :, np.newaxis]), np.uint8)


def pillow(pixels: NDArray[np.generic]) -> PillowImage.Image:
    """`pixels` as Pillow holds them."""
    return PillowImage.fromarray(pixels)


def saved(image: PillowImage.Image, file_format: str, **options: object) -> bytes:
    """`image` as a file of Pillow's `file_format`."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def jpeg(pixels: Pixels, **options: object) -> bytes:
    """A JPEG file that loses little."""
    return saved(pillow(pixels), "JPEG", **{"quality": 95, "subsampling": 0, **options})


def exif(orientation: int) -> bytes:
    """An EXIF block that holds `orientation` alone."""
    block = PillowImage.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def turned(image: PillowImage.Image, orientation: int) -> PillowImage.Image:
    """What a camera stores for the upright `image` when it writes `orientation`: the inverse of Pillow's upright()."""
    stored_as = {
        1: None,
        2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
        3: PillowImage.Transpose.ROTATE_180,
        4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
        5: PillowImage.Transpose.TRANSPOSE,
        6: PillowImage.Transpose.ROTATE_90,
        7: PillowImage.Transpose.TRANSVERSE,
        8: PillowImage.Transpose.ROTATE_270,
    }[orientation]
    return image if stored_as is None else image.transpose(stored_as)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_zeros(width: int, height: int, depth: int = 1, colour_type: int = 0) -> bytes:
    """A whole and valid PNG of black pixels, however large, in little memory."""
    channels = {0: 1, 2: 3, 6: 4}[colour_type]
    row = b"\0" * (1 + (width * depth * channels + 7) // 8)
    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", content)
            + png_chunk(b"IEND", b""))


def tiff(samples: NDArray[np.unsignedinteger], photometric: int, *, byte_order: str = "<", big: bool = False,
         planes: bool = False, extra_sample: int | None = None, more: dict[int, int] | None = None) -> bytes:
    """An uncompressed one-strip TIFF (or BigTIFF) of (height, width) or (height, width, samples), 8 or 16 bits.

    Pillow and OpenCV don't write all of the kinds that readers meet. `more`: further tags, one LONG each.
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    ordered = np.moveaxis(samples, 2, 0) if planes else samples
    content = ordered.astype(f"{byte_order}u{samples.itemsize}").tobytes()
    strips = channels if planes else 1
    first, size = (16 if big else 8), len(content) // strips
    tags = {256: [width], 257: [height], 258: [8 * samples.itemsize] * channels, 259: [1], 262: [photometric],
            273: [first + index * size for index in range(strips)], 277: [channels], 278: [height],
            279: [size] * strips, 284: [2 if planes else 1], **({} if extra_sample is None else {338: [extra_sample]}),
            **{tag: [value] for tag, value in (more or {}).items()}}
    return _tiff_file(content, dict(sorted(tags.items())), byte_order, big)


def _tiff_file(content: bytes, tags: dict[int, list[int]], byte_order: str, big: bool) -> bytes:
    word, inline = ("Q", 8) if big else ("I", 4)
    magic = b"II" if byte_order == "<" else b"MM"
    start = len(content) + (16 if big else 8)
    head = struct.pack(f"{byte_order}HHHQ", 43, 8, 0, start) if big else struct.pack(f"{byte_order}HI", 42, start)
    directory = struct.pack(byte_order + ("Q" if big else "H"), len(tags))
    behind = start + len(directory) + len(tags) * (12 + inline - 4 + (4 if big else 0)) + inline
    tail = b""
    for tag, values in tags.items():
        packed = struct.pack(f"{byte_order}{len(values)}I", *values)
        if len(packed) > inline:
            pointer = struct.pack(byte_order + word, behind + len(tail))
            tail, packed = tail + packed, pointer
        directory += struct.pack(f"{byte_order}HH{word}", tag, 4, len(values)) + packed.ljust(inline, b"\0")
    return magic + head + content + directory + b"\0" * inline + tail


def opened(payload: bytes, *, frame_number: int = 1, min_side: int | None = None, limits: Limits = LIMITS) -> Image:
    """The decoded picture, the way that a worker gets it."""
    return decode(payload, read_header(payload, limits), limits, frame_number=frame_number, min_side=min_side)


def difference(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Mean absolute difference; a difference in shape is infinite."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def opencv_file(extension: str, pixels: NDArray[np.generic]) -> bytes:
    """`pixels` in BGR order, or grey, as OpenCV writes them."""
    return bytes(np.asarray(cv2.imencode(extension, np.asarray(pixels))[1]).tobytes())
