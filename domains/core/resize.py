"""Pictures made smaller by the mean of the pixels that each new one covers."""

import cv2
import numpy as np

from domains.core.image import Pixels

HALVED_FROM = 3
"""Times the wanted size: as long as a picture is so much larger, it is halved. Halves are exact, and several times faster than OpenCV's
mean over parts of pixels, which the last step then takes over few of them.
"""
ODD_FROM = 12
"""From so many times the wanted size on an odd last row or column is left out: OpenCV is as slow with halves of odd sizes as with any
parts of pixels.
"""


def averaged(pixels: Pixels, width: int, height: int) -> Pixels:
    """uint8 (h, w) or (h, w, channels) at another size; for smaller ones. Differs from one mean over all by less than
    JPEG of quality 80 does: in where a new pixel ends, by half a pixel or less.
    """
    while pixels.shape[0] >= HALVED_FROM * height and pixels.shape[1] >= HALVED_FROM * width:
        if pixels.shape[0] >= ODD_FROM * height and pixels.shape[1] >= ODD_FROM * width:
            pixels = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        pixels = np.asarray(cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
