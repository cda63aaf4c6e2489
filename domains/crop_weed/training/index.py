"""Vegetation by a threshold on a colour index, without any learning: what a network has to be better than."""

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.crop_weed.cameras import Camera
from domains.crop_weed.vegetation import index_of


def vegetation(pixels: Pixels, camera: Camera) -> NDArray[np.bool_]:
    """Where the camera's index lies above Otsu's threshold (1979). `pixels`: uint8 (height, width, 3)."""
    levels = np.clip((index_of(pixels, camera) + 1) * 127.5, 0, 255).astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(mask, np.uint8) > 0
