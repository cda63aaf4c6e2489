"""Photos of any size for the benchmarks, made of a real one."""

from pathlib import Path

import cv2
import numpy as np

QUALITY = 90


def photo(source: Path, width: int, height: int) -> bytes:
    """A JPEG of that size: the middle of the photo in `source` with the wanted shape, resized."""
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{source} is no picture")
    rows, columns = picture.shape[:2]
    scale = min(columns / width, rows / height)
    cut_width, cut_height = round(width * scale), round(height * scale)
    left, top = (columns - cut_width) // 2, (rows - cut_height) // 2
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture[top:top + cut_height, left:left + cut_width], (width, height), interpolation=method)
    return cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def padded(width: int, height: int, size_bytes: int) -> bytes:
    """A grey JPEG of that size in pixels with comments (ITU-T T.81 B.2.4.5) that bring it to about `size_bytes`: as long to send
    as a photo, next to nothing to decode.
    """
    jpeg = cv2.imencode(".jpg", np.full((height, width, 3), 127, np.uint8))[1].tobytes()
    missing, comments = size_bytes - len(jpeg), bytearray()
    while missing > 4:
        length = min(missing - 2, 65_535)
        comments += b"\xff\xfe" + length.to_bytes(2, "big") + bytes(length - 2)
        missing -= length + 2
    return jpeg[:2] + bytes(comments) + jpeg[2:]
