"""Plants found against plants there: F1, average precision, panoptic quality and how far off their centroids are.

Sources: COCO's average precision (Lin et al., 2014), with its 101 levels of recall; panoptic quality (Kirillov et al., 2019).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains.crop_weed.training.data import LABELS, UNNAMED, Truth

MATCH_IOU = 0.5
"""A plant is found where a mask of its class covers it by more; no two masks can then claim the same one."""
THRESHOLDS = {"ap50": 0.5, "ap75": 0.75}
RECALLS = np.linspace(0, 1, 101)

Mask = tuple[int, float, tuple[int, int], NDArray[np.bool_], tuple[float, float]]
"""Class, score, left and top, pixels, and centroid (x, y) of one plant found."""


@dataclass(frozen=True, slots=True)
class Found:
    """One photo: for each plant found its class, score, IoU with the plant of its class that it covers most, and the distance of
    their centroids in pixels; and how many plants of each label are there.
    """

    kinds: NDArray[np.intp]
    scores: NDArray[np.float64]
    ious: NDArray[np.float64]
    distances: NDArray[np.float64]
    there: NDArray[np.intp]

    @classmethod
    def of(cls, truth: Truth, masks: Iterable[Mask]) -> "Found":
        """Masks that lie mostly on vegetation of which the class isn't known don't count."""
        count = int(truth.plants.max(initial=0)) + 1
        rows, columns = np.nonzero(truth.plants)
        number = truth.plants[rows, columns]
        areas = np.bincount(number, minlength=count)
        kinds = np.zeros(count, np.intp)
        kinds[number] = truth.classes[rows, columns]
        with np.errstate(invalid="ignore"):
            centres = np.stack([np.bincount(number, axis, count) / areas for axis in (columns, rows)], axis=1)
        found = []
        for kind, score, (left, top), mask, centroid in masks:
            window = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
            area = np.count_nonzero(mask)
            if 2 * np.count_nonzero(truth.classes[window][mask] == UNNAMED) > area:
                continue
            shared = np.bincount(truth.plants[window][mask], minlength=count)
            shared[0] = 0
            iou = np.where(kinds == kind, shared / (area + areas - shared), 0)
            best = int(iou.argmax())
            far = float(np.hypot(*(centres[best] - centroid))) if iou[best] else float("nan")
            found.append((kind, score, float(iou[best]), far))
        columns_of = np.array(found, np.float64).reshape(-1, 4).T
        there = np.bincount(kinds[areas > 0], minlength=len(LABELS))[: len(LABELS)]
        return cls(columns_of[0].astype(np.intp), columns_of[1], columns_of[2], columns_of[3], there)


def plant_figures(photos: Sequence[Found]) -> dict[str, float]:
    """`plant_f1` of crop and weed together and of each; `ap50`, `ap75` and `pq` averaged over both; the mean `centroid_error_px`."""
    kinds, scores, ious, distances = (np.concatenate([getattr(photo, name) for photo in photos])
                                      for name in ("kinds", "scores", "ious", "distances"))
    there = np.sum([photo.there for photo in photos], axis=0)
    matched = ious > MATCH_IOU
    found = {"plant_f1": _f1(matched, int(there[1:].sum()))}
    found |= {f"plant_f1_{label}": _f1(matched[kinds == kind], int(there[kind])) for kind, label in enumerate(LABELS) if kind}
    each = range(1, len(LABELS))
    for name, threshold in THRESHOLDS.items():
        found[name] = float(np.mean([_precision(scores[kinds == kind], ious[kinds == kind] > threshold, int(there[kind]))
                                     for kind in each]))
    found["pq"] = float(np.mean([_panoptic(ious[kinds == kind], int(there[kind])) for kind in each]))
    found["centroid_error_px"] = float(distances[matched].mean()) if matched.any() else float("nan")
    return found


def _f1(matched: NDArray[np.bool_], there: int) -> float:
    return float(2 * matched.sum() / (len(matched) + there)) if len(matched) + there else float("nan")


def _panoptic(ious: NDArray[np.float64], there: int) -> float:
    matched = ious > MATCH_IOU
    return float(2 * ious[matched].sum() / (len(ious) + there)) if len(ious) + there else float("nan")


def _precision(scores: NDArray[np.float64], right: NDArray[np.bool_], there: int) -> float:
    if not there:
        return float("nan")
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / there, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())
