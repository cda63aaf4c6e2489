"""Which camera took a photo: one of colours, or one of red and near infrared whose two bands were stored as three channels."""

from typing import Literal

import numpy as np

from domains.core import Pixels
from domains.core.resize import averaged

Camera = Literal["rgb", "red_nir"]
RGB: Camera = "rgb"
RED_NIR: Camera = "red_nir"
"""Red and blue hold the red band, green the near infrared."""
TITLES: dict[Camera, str] = {RGB: "in colour", RED_NIR: "in red and near infrared"}

LOOKED_AT_PX = 256
SAME, SAME_SHARE = 10, 0.9
"""Two bands: red and blue differ by at most so many grey levels in this share of the picture ..."""
APART = 8
"""... and green from both by more than this on average, which it doesn't in a grey picture."""


def camera_of(pixels: Pixels) -> Camera:
    """From a photo's own statistics, uint8 (height, width, 3); at a small size, where JPEG's noise in colours is averaged away."""
    height, width = pixels.shape[:2]
    shrink = LOOKED_AT_PX / max(height, width)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = averaged(pixels, *size)
    red, green, blue = (pixels[..., channel].astype(np.int16) for channel in range(3))
    two_bands = (np.abs(red - blue) <= SAME).mean() >= SAME_SHARE and np.abs(green - red).mean() > APART
    return RED_NIR if two_bands else RGB
