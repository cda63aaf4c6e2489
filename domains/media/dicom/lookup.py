"""Stored values through a table: one way for grey and palette frames."""

import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels

Stored = NDArray[np.integer]
"""A frame as it is stored, (rows, columns), integers of up to 16 bits."""

_PIXELS_AT_A_TIME = 2**20
"""numpy turns indices into 8 bytes each, which a large frame must not need all at once."""


def look_up(frame: Stored, low: int, table: NDArray[np.uint8]) -> Pixels:
    """`table[frame - low]`: uint8 of shape (rows, columns) + the shape of a table entry."""
    result = np.empty((*frame.shape, *table.shape[1:]), np.uint8)
    rows = max(_PIXELS_AT_A_TIME // frame.shape[1], 1)
    for top in range(0, frame.shape[0], rows):
        result[top : top + rows] = table[frame[top : top + rows].astype(np.int64) - low]
    return result
