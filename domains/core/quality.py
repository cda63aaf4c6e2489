"""What a frame is worth, measured of its pixels: sharp or blurred, lit or dark, of which colours, and what it looks like in
small, by which a frozen picture is known. Numbers only; what they mean for a domain stands in its `sequence.py`.

A picture of any size is measured on a sample of 256 pixels along its longer side, so the time doesn't grow with its size,
and blur that is narrower than about a 256th of the picture isn't seen.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core.image import Image, Pixels
from domains.core.results import Classification, Result

MEASURED_PX = 256
BLUR_PX = 9
THUMBNAIL_PX = 32
COLOUR_STEP = 4
DARK_LEVEL = 16
"""Grey levels (of 255) below this are black: above the 10 to 12 that codecs and screens make of it."""
FLAT = 0.25
"""Mean step between neighbours, in grey levels, below which there is no edge to be sharp."""


def measure_answer(image: Image, result: Result) -> dict[str, Any]:
    """`measure` of the part of `image` that the model saw, with the result's own `signals`."""
    return {**measure(seen(image, result)), **result.signals}


def measure(pixels: Pixels) -> dict[str, Any]:
    """JSON values that describe `pixels`, uint8 RGB (height, width, 3):

    `sharpness`: 0..1, the share of the steps between neighbouring pixels that a blur of 9 pixels takes away, along the
    axis where that is less; contrast doesn't matter (Crete et al., The blur effect, 2007). 0 where there are no edges.
    `brightness` and `contrast`: mean and standard deviation of the grey levels, 0..1.
    `colourfulness`: Hasler and Süsstrunk (2003), of RGB in 0..1; 0 for grey pictures.
    `dark_share`: 0..1, of pixels darker than grey level 16.
    `thumbnail`: 32 x 32 grey levels, rows from the top, base64.
    """
    sample = _sample(pixels)
    grey = np.asarray(cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY), np.uint8)
    mean, deviation = cv2.meanStdDev(grey)
    thumbnail = cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return {
        "sharpness": round(sharpness(grey), 4),
        "brightness": round(float(mean[0][0]) / 255, 4),
        "contrast": round(float(deviation[0][0]) / 255, 4),
        "colourfulness": round(colourfulness(sample[::COLOUR_STEP, ::COLOUR_STEP]), 4),
        "dark_share": round(1 - cv2.countNonZero(cv2.inRange(grey, DARK_LEVEL, 255)) / grey.size, 4),
        "thumbnail": base64.b64encode(thumbnail.tobytes()).decode("ascii"),
    }


def seen(image: Image, result: Result) -> Pixels:
    """The pixels that the result is about: a classification's region, else the whole picture."""
    return image.cut(result.region) if isinstance(result, Classification) else image.pixels


def sharpness(grey: NDArray[np.uint8]) -> float:
    """See `measure`; `grey` (height, width)."""
    found = []
    for axis, kernel in ((0, (1, BLUR_PX)), (1, (BLUR_PX, 1))):
        blurred = np.asarray(cv2.blur(grey, kernel), np.uint8)
        steps, left = _steps(grey, axis), _steps(blurred, axis)
        found.append(max(0.0, 1 - left / steps) if steps >= FLAT else 0.0)
    return min(found)


def colourfulness(pixels: Pixels) -> float:
    """See `measure`."""
    planes = np.asarray(pixels, np.int16)
    red, green, blue = (planes[:, :, channel] for channel in range(3))
    opponents: Mapping[str, NDArray[np.int16]] = {"red-green": red - green, "yellow-blue": red + green - 2 * blue}
    statistics = [cv2.meanStdDev(plane) for plane in opponents.values()]
    scale = (1.0, 0.5)
    means = [float(mean[0][0]) * by for (mean, _), by in zip(statistics, scale, strict=True)]
    spreads = [float(spread[0][0]) * by for (_, spread), by in zip(statistics, scale, strict=True)]
    return (math.hypot(*spreads) + 0.3 * math.hypot(*means)) / 255


def _sample(pixels: Pixels) -> Pixels:
    """256 pixels along the longer side, each the mean of the four pixels at its place."""
    height, width = pixels.shape[:2]
    scale = MEASURED_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _steps(grey: NDArray[np.uint8], axis: int) -> float:
    """Mean absolute step between neighbours along `axis`, in grey levels; 0 for a single row or column."""
    if grey.shape[axis] < 2:
        return 0.0
    before, after = (grey[:-1], grey[1:]) if axis == 0 else (grey[:, :-1], grey[:, 1:])
    return float(cv2.norm(before, after, cv2.NORM_L1)) / after.size
