"""Overlapping tiles: a picture of any size through a network of one size, without seams.

Outputs are averaged with weights that fall smoothly to nearly nothing at a tile's edge, where the network sees least
around a place. The output grid may be 1, 2 or 4 times coarser than the tile.
"""

from collections.abc import Callable, Generator

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import ModelCall, Outputs, Pixels

Grid = NDArray[np.float32]
ALIGNMENT = 4
"""Tiles begin at multiples of this, so that every output stride up to it falls on whole cells."""
OVERLAP = 0.2
"""Neighbouring tiles share at least this part of their side."""
EDGE_WEIGHT = 1e-3
"""Above zero: at the picture's own edge only one tile has a say."""


def blend(
    pixels: Pixels, tile: tuple[int, int], wrap: Callable[[Pixels], ModelCall], *outputs: str
) -> Generator[ModelCall, Outputs, Grid]:
    """Yields a call for each tile of `pixels` and returns the outputs of those names, blended, one's channels after the other's.

    `pixels`: uint8 (height, width, 3), as `pad` makes it. `tile`: height and width. Returns float32
    (height / stride, width / stride, channels), where stride is how much coarser the network's outputs are.
    """
    height, width = pixels.shape[:2]
    total, weights, shares = np.zeros((0, 0, 0), np.float32), np.zeros((0, 0, 1), np.float32), None
    stride = 1
    for top in starts(height, tile[0]):
        for left in starts(width, tile[1]):
            patch = np.ascontiguousarray(pixels[None, top : top + tile[0], left : left + tile[1]])
            answered = yield wrap(patch)
            grid = np.concatenate([answered[name][0] for name in outputs], axis=2)
            if shares is None:
                shares, stride = window(grid.shape[0], grid.shape[1]), tile[0] // grid.shape[0]
                total = np.zeros((height // stride, width // stride, grid.shape[2]), np.float32)
                weights = np.zeros((*total.shape[:2], 1), np.float32)
            rows = slice(top // stride, top // stride + grid.shape[0])
            columns = slice(left // stride, left // stride + grid.shape[1])
            total[rows, columns] += grid * shares
            weights[rows, columns] += shares
    return total / weights


def starts(length: int, tile: int) -> list[int]:
    """Where tiles begin along a side of `length`: evenly spread multiples of ALIGNMENT, the last tile ending at its end.

    `length`, at least `tile`, and `tile` are multiples of ALIGNMENT.
    """
    steps = -(-(length - tile) // int(tile * (1 - OVERLAP)))
    return [round((length - tile) * step / max(steps, 1) / ALIGNMENT) * ALIGNMENT for step in range(steps + 1)]


def window(height: int, width: int) -> Grid:
    """The blending weights of one tile's outputs, float32 (height, width, 1): highest in the middle."""
    weights = np.outer(_ramp(height), _ramp(width))
    return np.asarray(weights[..., None], np.float32)


def pad(pixels: Pixels, tile: tuple[int, int]) -> Pixels:
    """`pixels` grown at right and bottom by reflection to at least one tile and to multiples of ALIGNMENT."""
    sizes = zip(pixels.shape[:2], tile, strict=True)
    missing = [max(least, -(-size // ALIGNMENT) * ALIGNMENT) - size for size, least in sizes]
    if not any(missing):
        return pixels
    return np.asarray(cv2.copyMakeBorder(pixels, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT), np.uint8)


def _ramp(count: int) -> NDArray[np.float64]:
    rising: NDArray[np.float64] = np.sin((np.arange(count) + 0.5) * (np.pi / count)) ** 2 + EDGE_WEIGHT
    return rising
