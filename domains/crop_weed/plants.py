"""From blended logits to a clean map and to plants, on the network's own grid; the photo's pixels come last.

The grid is a fraction of the photo, so a photo of 60 megapixels costs no more here than one of 1.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Box, Instance
from domains.core.results import ClassMap
from domains.crop_weed import grouping
from domains.crop_weed.tiling import Grid

SOIL = 0
STRIP_ROWS = 512
MAX_PLANTS = 500
"""More objects than this say nothing more to a caller and cost megabytes; the largest are kept."""

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PlantMap:
    """`logits` (h, w, labels), edited so that their largest agrees with `classes` (h, w); `plants` (h, w) numbers each
    plant, which is of one class, from 1. Row `number - 1` of `boxes` is its left, top, right and bottom cell (the last
    two excluded), of `areas` its cells and of `scores` its mean class probability. `certainty` is the mean leading
    probability over all plant cells before any cleaning (1 where there are none).
    """

    logits: Grid
    classes: ClassMap
    plants: Labels
    boxes: Labels
    areas: Labels
    scores: NDArray[np.float64]
    certainty: float


@dataclass(frozen=True, slots=True)
class Pointers:
    """What the network says of plants: `heat` (h, w), how much a cell is one's centre, and `offsets` (h, w, 2) to its own."""

    heat: Grid
    offsets: Grid


def understand(logits: Grid, temperature: float, speck_cells: float, dominance: float, pointers: Pointers | None = None) -> PlantMap:
    """The map, cleaned, and its plants. With `pointers` a plant is what points at one centre, and is of the class of which it
    shows most. Without, plants are connected patches of one class: one that is nearly all of one class becomes it wholly, and in a
    mixed patch the pieces too small to be plants go to the other class. Specks become soil.
    """
    powers = np.exp((logits - logits.max(axis=2, keepdims=True)) / np.float32(temperature))
    shares: Grid = powers / powers.sum(axis=2, keepdims=True)
    found = logits.argmax(axis=2).astype(np.uint8)
    leading = shares.max(axis=2)[found != SOIL]
    certainty = float(leading.mean()) if leading.size else 1.0
    if pointers is None:
        classes = _clean(found, shares, speck_cells, dominance)
        plants, boxes, areas = _patches_of_each_class(classes, logits.shape[2])
    else:
        plants = grouping.numbered(found != SOIL, pointers.heat, pointers.offsets, speck_cells)
        classes, boxes, areas = _of_one_class(plants, shares)
    mine = np.take_along_axis(shares, classes[..., None].astype(np.intp), axis=2)[..., 0]
    sums = np.bincount(plants.ravel(), mine.ravel(), len(areas) + 1)[1:]
    edited = _agreeing(logits, found, classes)
    return PlantMap(edited, classes, plants, boxes, areas, sums / areas, certainty)


def paint(logits: Grid, width: int, height: int, cells_per_pixel: tuple[float, float]) -> ClassMap:
    """The class map at the photo's size, uint8 (height, width), from `logits` on the grid.

    Logits, not classes, are interpolated, so that outlines are smooth; strip by strip, so that memory stays bounded.
    `cells_per_pixel`: grid cells that one pixel of the photo spans, along x and y.
    """
    painted = np.empty((height, width), np.uint8)
    over_soil = logits[..., 1:] - logits[..., :1]
    scale_x, scale_y = cells_per_pixel
    for top in range(0, height, STRIP_ROWS):
        rows = min(STRIP_ROWS, height - top)
        first = max(0, int(top * scale_y) - 2)
        last = int((top + rows) * scale_y) + 3
        # Both grids count from the middle of their first cell.
        matrix = np.array([[scale_x, 0, scale_x / 2 - 0.5], [0, scale_y, (top + 0.5) * scale_y - 0.5 - first]])
        fine = cv2.warpAffine(np.ascontiguousarray(over_soil[first:last]), matrix, (width, rows),
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
        strip = np.asarray(fine, np.float32).reshape(rows, width, -1)
        best = strip[..., 0]
        index = np.ones((rows, width), np.uint8)
        for other in range(1, strip.shape[2]):
            index[strip[..., other] > best] = other + 1
            best = np.maximum(best, strip[..., other])
        painted[top : top + rows] = np.where(best > 0, index, SOIL)
    return painted


def instances(found: PlantMap, class_map: ClassMap, labels: tuple[str, ...],
              cells_per_pixel: tuple[float, float]) -> tuple[tuple[Instance, ...], int]:
    """The plants as instances in pixels of the photo, largest first, and how many more were left out."""
    height, width = class_map.shape
    rows_of, columns_of = found.plants.shape
    column = ((np.arange(width) + 0.5) * cells_per_pixel[0]).astype(np.intp).clip(0, columns_of - 1)
    row = ((np.arange(height) + 0.5) * cells_per_pixel[1]).astype(np.intp).clip(0, rows_of - 1)
    kept: list[Instance] = []
    for index in np.argsort(-found.areas, kind="stable")[:MAX_PLANTS]:
        left, top, right, bottom = found.boxes[index]
        # One cell more all around: interpolated outlines reach into the neighbouring cells.
        near_left, near_top = max(0, left - 1), max(0, top - 1)
        around = found.plants[near_top : bottom + 1, near_left : right + 1]
        near = around == index + 1
        wide = near | ((around == 0) & (cv2.dilate(near.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
        x0, x1 = np.searchsorted(column, (near_left, min(columns_of, right + 1)))
        y0, y1 = np.searchsorted(row, (near_top, min(rows_of, bottom + 1)))
        kind = int(found.classes[near_top : bottom + 1, near_left : right + 1][near][0])
        reached = wide[np.ix_(row[y0:y1] - near_top, column[x0:x1] - near_left)]
        mask = reached & (class_map[y0:y1, x0:x1] == kind)
        if mask.any():
            kept.append(_instance(mask, int(x0), int(y0), labels[kind], float(found.scores[index])))
    return tuple(kept), max(0, len(found.areas) - MAX_PLANTS)


def _instance(mask: NDArray[np.bool_], x: int, y: int, label: str, score: float) -> Instance:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    tight = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    box = Box(x + int(columns[0]), y + int(rows[0]), tight.shape[1], tight.shape[0])
    across, down = tight.sum(axis=0), tight.sum(axis=1)
    centroid = (box.x + float(across @ np.arange(len(across)) / across.sum()),
                box.y + float(down @ np.arange(len(down)) / down.sum()))
    return Instance(label, min(1.0, score), box, tight, centroid)


def _of_one_class(plants: Labels, shares: Grid) -> tuple[ClassMap, Labels, Labels]:
    """The class map where each plant is of its leading class, and the plants' boxes and areas."""
    count = int(plants.max(initial=0)) + 1
    flat = plants.ravel()
    evidence = np.stack([np.bincount(flat, shares[..., kind].ravel(), count) for kind in range(1, shares.shape[2])], axis=1)
    winner = (evidence.argmax(axis=1) + 1).astype(np.uint8)
    winner[0] = SOIL
    rows, columns = np.nonzero(plants)
    number = plants[rows, columns]
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(1, count))
    sides = [reach.reduceat(axis[order], first) if count > 1 else np.zeros(0, np.intp)
             for reach, axis in ((np.minimum, columns), (np.minimum, rows), (np.maximum, columns), (np.maximum, rows))]
    boxes = np.stack(sides, axis=1) + np.array([0, 0, 1, 1])
    return winner[plants], boxes.astype(np.int32), np.bincount(flat, minlength=count)[1:].astype(np.int32)


def _clean(found: ClassMap, shares: Grid, speck_cells: float, dominance: float) -> ClassMap:
    count, patches, stats, _ = cv2.connectedComponentsWithStats((found != SOIL).astype(np.uint8), connectivity=8)
    flat = patches.ravel()
    evidence = np.stack([np.bincount(flat, shares[..., kind].ravel(), count) for kind in range(1, shares.shape[2])], 1)
    winner = evidence.argmax(axis=1).astype(np.uint8) + 1
    ruled = evidence.max(axis=1) >= dominance * evidence.sum(axis=1)
    specks = np.asarray(stats)[:, cv2.CC_STAT_AREA] < speck_cells
    verdict = np.where(specks, SOIL, winner).astype(np.uint8)
    classes = np.where((ruled | specks)[patches], verdict[patches], found)
    classes[found == SOIL] = SOIL
    return _without_scraps(classes.astype(np.uint8), winner[patches], speck_cells)


def _without_scraps(classes: ClassMap, winner: ClassMap, speck_cells: float) -> ClassMap:
    """Pieces of one class smaller than a speck, inside a mixed patch, take the patch's leading class."""
    tidy = classes.copy()
    for kind in np.unique(classes[classes != SOIL]):
        _, pieces, stats, _ = cv2.connectedComponentsWithStats((classes == kind).astype(np.uint8), connectivity=8)
        scraps = np.asarray(stats)[:, cv2.CC_STAT_AREA] < speck_cells
        scraps[0] = False
        chosen = scraps[pieces]
        tidy[chosen] = winner[chosen]
    return tidy


def _patches_of_each_class(classes: ClassMap, labels: int) -> tuple[Labels, Labels, Labels]:
    plants = np.zeros(classes.shape, np.int32)
    boxes, areas = [np.zeros((0, 4), np.int32)], [np.zeros(0, np.int32)]
    done = 0
    for kind in range(1, labels):
        count, pieces, stats, _ = cv2.connectedComponentsWithStats((classes == kind).astype(np.uint8), connectivity=8)
        plants += np.where(np.asarray(pieces) > 0, np.asarray(pieces) + done, 0).astype(np.int32)
        corner, size = np.asarray(stats)[1:, :2], np.asarray(stats)[1:, 2:4]
        boxes.append(np.concatenate([corner, corner + size], axis=1).astype(np.int32))
        areas.append(np.asarray(stats)[1:, cv2.CC_STAT_AREA].astype(np.int32))
        done += count - 1
    return plants, np.concatenate(boxes), np.concatenate(areas)


def _agreeing(logits: Grid, found: ClassMap, classes: ClassMap) -> Grid:
    """`logits` with the values of two classes exchanged wherever cleaning put the second in place of the first."""
    edited = logits.copy()
    rows, columns = np.nonzero(found != classes)
    before, after = found[rows, columns], classes[rows, columns]
    edited[rows, columns, before] = logits[rows, columns, after]
    edited[rows, columns, after] = logits[rows, columns, before]
    return edited
