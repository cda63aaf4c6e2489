"""From what a decoder gives (grey, BGR, BGRA; 8 or 16 bits) to uint8 RGB, and from as stored to upright."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import CorruptMedia, Pixels

Samples = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What a file's header claims of its picture, before orientation is applied.

    `decoded_bytes`: what decoding will allocate. `orientation`: EXIF's 1 to 8 (CIPA DC-008 section 4.6.4, Orientation).
    """

    width: int
    height: int
    decoded_bytes: int
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) once upright: orientations 5 to 8 lie on their side."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def imdecode(data: bytes, flags: int) -> Samples:
    """`cv2.imdecode`, with CorruptMedia where it gives nothing."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise CorruptMedia("the picture is broken or cut short: it could not be decoded")
    return np.asarray(picture, np.uint16) if picture.dtype == np.uint16 else np.asarray(picture, np.uint8)


def to_rgb8(picture: Samples) -> Pixels:
    """uint8 RGB (height, width, 3) from grey, BGR or BGRA of 8 or 16 bits; 65535 becomes 255.

    What is transparent becomes white, as a person sees it who opens the file on a page.
    """
    if picture.dtype == np.uint16:
        picture = np.asarray(cv2.convertScaleAbs(picture, alpha=1 / 257), np.uint8)
    if picture.ndim == 2:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
    if picture.shape[2] == 3:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    alpha = cv2.cvtColor(picture[:, :, 3], cv2.COLOR_GRAY2RGB)
    rgb = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB)
    return np.asarray(cv2.add(cv2.multiply(rgb, alpha, scale=1 / 255), cv2.bitwise_not(alpha)), np.uint8)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """`pixels` turned and mirrored as EXIF's `orientation` (1 to 8) asks; C-contiguous."""
    if orientation >= 5:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    # After the transposition 5, 6, 7 and 8 want what 1, 2, 3 and 4 want in this order.
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(pixels if flip is None else cv2.flip(pixels, flip), np.uint8)
