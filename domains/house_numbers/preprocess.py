"""From a decoded picture to the model's input: the square around the digit, grey, at the input's size.

This is also how the training crops are made (`training/data.py`), so that the network never meets another kind of picture.
"""

import cv2
import numpy as np

from domains.core import Box, Image, InputSpec, Pixels
from domains.core.resize import averaged


def seen_box(image: Image, digit: Box) -> Box:
    """The part of the picture that the model is shown: the square around `digit`, as far as the picture reaches."""
    side = max(digit.width, digit.height)
    left, top = _corner(digit, side)
    x0, y0 = max(0, left), max(0, top)
    return Box(x0, y0, min(left + side, image.full_width) - x0, min(top + side, image.full_height) - y0)


def fit_to_input(image: Image, digit: Box, spec: InputSpec) -> Pixels:
    """uint8 (1, height, width, 1). Beyond the picture its edge goes on, as in format 2 of SVHN (Netzer et al., 2011), so that
    no digit is stretched.
    """
    side = max(digit.width, digit.height)
    left, top = _corner(digit, side)
    seen = seen_box(image, digit)
    grey = cv2.cvtColor(image.cut(seen), cv2.COLOR_RGB2GRAY)
    x0, x1 = _placed(seen.x - left, seen.width, side, spec.width)
    y0, y1 = _placed(seen.y - top, seen.height, side, spec.height)
    if side >= max(spec.width, spec.height):
        small = averaged(np.asarray(grey, np.uint8), x1 - x0, y1 - y0)
    else:
        small = np.asarray(cv2.resize(grey, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.uint8)
    whole = cv2.copyMakeBorder(small, y0, spec.height - y1, x0, spec.width - x1, cv2.BORDER_REPLICATE)
    return np.asarray(whole, np.uint8)[None, :, :, None]


def _corner(digit: Box, side: int) -> tuple[int, int]:
    """Left and top of the square of `side` around `digit`; negative beyond the picture."""
    return round(digit.x + (digit.width - side) / 2), round(digit.y + (digit.height - side) / 2)


def _placed(start: int, length: int, side: int, target: int) -> tuple[int, int]:
    """From where to where a stretch of a square's `side` lies in `target` pixels; at least one of them."""
    first = min(round(start * target / side), target - 1)
    return first, max(first + 1, round((start + length) * target / side))
