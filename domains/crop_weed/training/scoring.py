"""Scores of held-out photos: every pixel, and plant by plant, as answered and by connected patches of the same map."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Segmentation
from domains.crop_weed.training.data import LABELS, SMALLEST_PLANT_PX, UNNAMED, Truth
from domains.crop_weed.training.detection import Found, plant_figures

IOU = "iou_{}"
"""The figure of one label."""
BY_PATCHES, BY_INDEX, ELSEWHERE = "_by_patches", "_by_index", "_elsewhere"
"""Ends of figures' names: plants as connected patches; vegetation by a threshold on a colour index; photos of another data set."""

Overlap = NDArray[np.int64]
"""Pixels that are vegetation in truth and answer, and in either."""


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """The truth of a case. `read` gives it; `elsewhere`: of this photo only the vegetation is asked."""

    read: Callable[[], Truth]
    elsewhere: bool = False

    def __repr__(self) -> str:
        """By content, wherever the files lie."""
        truth = self.read()
        digest = hashlib.sha256(truth.classes.tobytes() + truth.plants.tobytes()).hexdigest()
        return f"Asked({digest}, elsewhere={self.elsewhere})"


@dataclass(frozen=True, slots=True)
class Score:
    """One photo. `confusion[truth, found]` in pixels whose class is known; `plants` and `patches`: what was found of its plants,
    as answered and by connected patches; `vegetation` and `by_index`.
    """

    confusion: NDArray[np.int64]
    plants: Found
    patches: Found
    vegetation: Overlap
    by_index: Overlap
    answered: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One photo of another data set, of which only its vegetation is asked. `vegetation` and `by_index` as in Score."""

    vegetation: Overlap
    by_index: Overlap


def score(truth: Truth, result: Segmentation, by_index: NDArray[np.bool_]) -> Score:
    """`by_index`: where a threshold on a colour index finds vegetation, (height, width) as the photo."""
    side = len(LABELS)
    known = truth.classes != UNNAMED
    pairs = np.bincount(truth.classes[known].astype(np.intp) * side + result.class_map[known], minlength=side * side)
    return Score(pairs.reshape(side, side), _answered(truth, result), _connected(truth, result),
                 overlap(truth, result.class_map > 0), overlap(truth, by_index), result.abstention is None)


def overlap(truth: Truth, found: NDArray[np.bool_]) -> Overlap:
    """Of all vegetation, whether its kind is known or not."""
    there = truth.classes > 0
    return np.array([np.count_nonzero(there & found), np.count_nonzero(there | found)])


def figures(scores: Sequence[object]) -> dict[str, float]:
    """Figures over photos, each in 0..1 but `centroid_error_px`: intersection over union over all pixels together; of plants, see
    `plant_figures`.
    """
    kept = [row for row in scores if isinstance(row, Score)]
    other = [row for row in scores if isinstance(row, Elsewhere)]
    found: dict[str, float] = {}
    if kept:
        confusion = np.sum([row.confusion for row in kept], axis=0)
        right = np.diag(confusion).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            union = right / (confusion.sum(axis=0) + confusion.sum(axis=1) - right)
        found = {"miou": float(union.mean()), "pixel_accuracy": float(right.sum() / confusion.sum())}
        found |= {IOU.format(label): float(value) for label, value in zip(LABELS, union, strict=True)}
        found |= plant_figures([row.plants for row in kept])
        found |= {f"{name}{BY_PATCHES}": value for name, value in plant_figures([row.patches for row in kept]).items()}
        found["answered_share"] = float(np.mean([row.answered for row in kept]))
    for rows, end in ((kept, ""), (other, ELSEWHERE)):
        if rows:
            found[f"vegetation_iou{end}"] = _share(row.vegetation for row in rows)
            found[f"vegetation_iou{BY_INDEX}{end}"] = _share(row.by_index for row in rows)
    return found


def _share(overlaps: Iterable[Overlap]) -> float:
    both, either = np.sum(list(overlaps), axis=0)
    return float(both / either) if either else float("nan")


def _answered(truth: Truth, result: Segmentation) -> Found:
    masks = []
    for plant in result.instances:
        box = plant.box
        masks.append((LABELS.index(plant.label), plant.score, (box.x, box.y), plant.mask, plant.centroid))
    return Found.of(truth, masks)


def _connected(truth: Truth, result: Segmentation) -> Found:
    """Connected patches of one class, each with the mean score of what was answered there."""
    class_map, scores = result.class_map, np.zeros(result.class_map.shape, np.float32)
    for plant in result.instances:
        box = plant.box
        scores[box.y : box.y + box.height, box.x : box.x + box.width][plant.mask] = plant.score
    masks = []
    for kind in range(1, len(LABELS)):
        count, patches, stats, centroids = cv2.connectedComponentsWithStats((class_map == kind).astype(np.uint8), connectivity=8)
        for number in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[number])
            if area >= SMALLEST_PLANT_PX:
                window = slice(top, top + height), slice(left, left + width)
                mask = np.asarray(patches)[window] == number
                centroid = float(centroids[number][0]), float(centroids[number][1])
                masks.append((kind, float(scores[window][mask].mean()), (left, top), mask, centroid))
    return Found.of(truth, masks)
