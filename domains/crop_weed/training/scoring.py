"""Scores of held-out photos: every pixel, and plant by plant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Segmentation
from domains.crop_weed.training.data import LABELS, read_mask

IOU = "iou_{}"
"""The figure of one label."""
SMALLEST_PLANT_PX = 24
"""Smaller patches of the truth are crumbs of its outlines; the model's own `speck_px` drops the same."""
MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """One photo: `confusion[truth, found]` in pixels, and for crop and weed (2, 3) the plants matched, found, true."""

    confusion: NDArray[np.int64]
    plants: NDArray[np.int64]
    answered: bool


def score(truth: object, result: Segmentation) -> Score:
    """`truth` is the path of the photo's mask. Raises TypeError for a truth of another domain."""
    if not isinstance(truth, Path):
        raise TypeError(f"a photo is scored with the path of its mask, got {type(truth).__name__}")
    mask = read_mask(truth)
    side = len(LABELS)
    pairs = np.bincount(mask.ravel().astype(np.intp) * side + result.class_map.ravel(), minlength=side * side)
    plants = np.array([_match(mask == kind, result, label) for kind, label in enumerate(LABELS) if kind])
    return Score(pairs.reshape(side, side), plants, result.abstention is None)


def figures(scores: Sequence[object]) -> dict[str, float]:
    """Figures over photos, each in 0..1: intersection over union over all pixels together, and F1 of plants."""
    kept = [row for row in scores if isinstance(row, Score)]
    confusion = np.sum([row.confusion for row in kept], axis=0)
    right = np.diag(confusion).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        union = right / (confusion.sum(axis=0) + confusion.sum(axis=1) - right)
        plants = np.sum([row.plants for row in kept], axis=0).astype(np.float64)
        f1 = 2 * plants[:, 0] / (plants[:, 1] + plants[:, 2])
        accuracy = right.sum() / confusion.sum()
    found = {"miou": float(union.mean()), "pixel_accuracy": float(accuracy)}
    found |= {IOU.format(label): float(value) for label, value in zip(LABELS, union, strict=True)}
    found |= {f"plant_f1_{label}": float(value) for label, value in zip(LABELS[1:], f1, strict=True)}
    return found | {"answered_share": float(np.mean([row.answered for row in kept]))}


def _match(truth: NDArray[np.bool_], result: Segmentation, label: str) -> tuple[int, int, int]:
    """Plants matched one to one at IoU 0.5 (no two can then claim the same), found, and true."""
    count, patches, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    areas = np.asarray(stats)[:, cv2.CC_STAT_AREA]
    found = [instance for instance in result.instances if instance.label == label]
    matched = 0
    for instance in found:
        box = instance.box
        below = np.asarray(patches)[box.y : box.y + box.height, box.x : box.x + box.width][instance.mask]
        shared = np.bincount(below, minlength=count)[1:]
        if len(shared) and shared.any():
            best = int(shared.argmax()) + 1
            union = instance.area_px + areas[best] - shared[best - 1]
            matched += bool(shared[best - 1] > MATCH_IOU * union)
    return matched, len(found), int((areas[1:] >= SMALLEST_PLANT_PX).sum())
