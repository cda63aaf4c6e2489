"""From learned centres and offsets to plants (Panoptic-DeepLab, Cheng et al., 2020): each cell of vegetation belongs to the centre
that it points at, so that plants that touch come apart and leaves that don't touch stay together.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

OFFSET_CELLS = 32.0
"""One unit of the output `offsets` in cells of its grid."""
LEAST_HEAT = 0.1
"""A centre's bell is 1 high in training."""
APART_CELLS = 18
"""Of two centres closer than this the lower one isn't one."""
FAR_CELLS = 40
"""A cell that points farther than this from any centre belongs to none: such cells of a patch are a plant of their own."""
MINOR_SHARE = 0.1
"""A smaller part of a connected patch isn't a plant, it belongs to the patch's largest."""

Grid = NDArray[np.float32]
Numbers = NDArray[np.int32]


def numbered(vegetation: NDArray[np.bool_], heat: Grid, offsets: Grid, speck_cells: float) -> Numbers:
    """The plant of each cell, (h, w), from 1 without gaps; 0 is soil, and so is a plant of fewer cells than `speck_cells`.

    `vegetation` (h, w); `heat` (h, w): how much a cell is a centre; `offsets` (h, w, 2): x and y to its plant's centre, in units of
    OFFSET_CELLS.
    """
    _, patches = cv2.connectedComponents(vegetation.astype(np.uint8), connectivity=8)
    rows, columns = np.nonzero(vegetation)
    patch = np.asarray(patches, np.int64)[rows, columns]
    pointed = _pointed_at(_centres(heat), rows, columns, offsets[rows, columns] * OFFSET_CELLS)
    plant = _tidied(patch, pointed, speck_cells)
    _, plant, areas = np.unique(plant, return_inverse=True, return_counts=True)
    kept = areas >= speck_cells
    number = np.where(kept, np.cumsum(kept), 0)
    plants = np.zeros(vegetation.shape, np.int32)
    plants[rows, columns] = number[plant]
    return plants


def _centres(heat: Grid) -> NDArray[np.bool_]:
    """Local maxima (h, w). Blurred a little first: int8 makes plateaus."""
    smooth = np.asarray(cv2.GaussianBlur(heat, (0, 0), 1.0), np.float32)
    highest = cv2.dilate(smooth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * APART_CELLS + 1, 2 * APART_CELLS + 1)))
    return (smooth >= LEAST_HEAT) & (smooth >= np.asarray(highest))


def _pointed_at(centres: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp], ways: Grid) -> NDArray[np.int64]:
    """The number of the centre nearest to where each cell points, from 1; 0 where none is near."""
    if not centres.any():
        return np.zeros(len(rows), np.int64)
    height, width = centres.shape
    distance, nearest = cv2.distanceTransformWithLabels((~centres).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5,
                                                        labelType=cv2.DIST_LABEL_CCOMP)
    x = np.rint(columns + ways[:, 0]).astype(np.intp).clip(0, width - 1)
    y = np.rint(rows + ways[:, 1]).astype(np.intp).clip(0, height - 1)
    return np.where(np.asarray(distance)[y, x] <= FAR_CELLS, np.asarray(nearest)[y, x], 0).astype(np.int64)


def _tidied(patch: NDArray[np.int64], pointed: NDArray[np.int64], speck_cells: float) -> NDArray[np.int64]:
    """The plant of each cell. A piece is what points at one centre in one connected patch: one that is small for its patch goes to
    the patch's largest, and one that points nowhere is a plant by itself.
    """
    most = int(pointed.max(initial=0)) + 1
    pieces, piece, cells = np.unique(patch * most + pointed, return_inverse=True, return_counts=True)
    of_patch, plant = pieces // most, pieces % most
    plant = np.where(plant == 0, most + of_patch, plant)
    patch_cells = np.bincount(of_patch, cells)
    order = np.lexsort((cells, of_patch))
    largest = np.zeros(len(patch_cells), np.int64)
    largest[of_patch[order]] = plant[order]  # of each patch's pieces the last, which is the largest, stays
    minor = cells < np.maximum(speck_cells, MINOR_SHARE * patch_cells[of_patch])
    joined: NDArray[np.int64] = np.where(minor, largest[of_patch], plant)
    return joined[piece]
