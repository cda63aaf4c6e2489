"""Soil and vegetation alone, for crops and cameras that the network hasn't learnt.

There the network still finds where plants are, and draws their outlines too wide; a colour index draws outlines well and doesn't know
leaves from green stones. So an index threshold is set between what the network calls plants and what it calls soil, in
each photo anew, and vegetation is what both say. docs/plants.md says what that is worth.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.crop_weed.cameras import RED_NIR, Camera

BETWEEN = 0.35
GREENER = 0.6
"""The threshold lies so far up from the median index of soil to this quantile of the index of plants, whose outlines hold soil."""
STEEPNESS = 8.0
"""Logits that one such distance is worth: outlines are interpolated between cells."""

Grid = NDArray[np.float32]


def index_of(pixels: Pixels, camera: Camera) -> Grid:
    """Excess green (Woebbecke et al., 1995) in colour, NDVI (Rouse et al., 1974) in red and near infrared; (h, w), -1..2."""
    red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
    if camera == RED_NIR:
        return np.asarray((green - red) / (green + red + 1), np.float32)
    return np.asarray((2 * green - red - blue) / (red + green + blue + 1), np.float32)


def alone(logits: Grid, temperature: float) -> Grid:
    """Logits of soil and of any plant, (h, w, 2), whose softmax at `temperature` adds up what is no soil."""
    scaled = logits[..., 1:] / np.float32(temperature)
    top = scaled.max(axis=2, keepdims=True)
    plant = top + np.log(np.exp(scaled - top).sum(axis=2, keepdims=True))
    return np.concatenate([logits[..., :1], plant * np.float32(temperature)], axis=2)


def trimmed(logits: Grid, pixels: Pixels, camera: Camera, stride: int) -> Grid:
    """`logits` of soil and plant (h, w, 2) where the index of `pixels`, `stride` times as fine or more at right and bottom, says
    plant as well; as they are where the index tells nothing apart.
    """
    rows, columns = logits.shape[:2]
    size = pixels.shape[1] // stride, pixels.shape[0] // stride
    index = np.asarray(cv2.resize(index_of(pixels, camera), size, interpolation=cv2.INTER_AREA), np.float32)[:rows, :columns]
    over_soil = logits[..., 1] - logits[..., 0]
    plant = over_soil > 0
    if not plant.any() or plant.all():
        return logits
    high, low = np.quantile(index[plant], GREENER), np.median(index[~plant])
    if high <= low:
        return logits
    over = STEEPNESS * ((index - low) / (high - low) - BETWEEN)
    return np.stack([np.zeros_like(over_soil), np.minimum(over_soil, over.astype(np.float32))], axis=2)
