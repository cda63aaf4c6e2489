"""Whether the evidence map points at the lesion, against what a map that knows nothing of the picture would get."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Classification
from domains.core.overlay import heatmap_picture

CENTRE_SIGMA = 0.25
"""Of the baseline, a Gaussian at the centre of the picture: its width and height as shares of the picture's."""


@dataclass(frozen=True, slots=True)
class Pointing:
    """Of one scan with a lesion, each in 0..1. `inside`: the share of the map's mass in the lesion's mask; `hit`: 1 where the
    map's highest place lies in it (the pointing game, Zhang et al., 2018, without a margin); the same of the Gaussian at
    the centre; `area`: the share of the picture that is lesion, which is what a flat map gets.
    """

    inside: float
    hit: float
    centre_inside: float
    centre_hit: float
    area: float


def point(result: Classification, mask_file: Path) -> Pointing | None:
    """Of the evidence map as it is drawn over the picture. None where the answer has no map. Raises FileNotFoundError."""
    if result.heatmap is None:
        return None
    picture = cv2.imread(str(mask_file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise FileNotFoundError(mask_file)
    mask = np.asarray(picture > 0)
    height, width = mask.shape
    evidence = heatmap_picture(result, width, height).astype(np.float64)
    centre = centre_blob(height, width)
    return Pointing(_inside(evidence, mask), _hit(evidence, mask), _inside(centre, mask), _hit(centre, mask),
                    float(mask.mean()))


def centre_blob(height: int, width: int) -> NDArray[np.float64]:
    """The baseline (height, width): highest at the centre."""
    rows = (np.arange(height) - (height - 1) / 2) / (CENTRE_SIGMA * height)
    columns = (np.arange(width) - (width - 1) / 2) / (CENTRE_SIGMA * width)
    return np.exp(-(rows[:, None] ** 2 + columns**2) / 2)


def _inside(weights: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    total = weights.sum()
    return float(weights[mask].sum() / total) if total else 0.0


def _hit(weights: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """The share of the highest places that lie in the mask: of several each counts alike."""
    highest = weights == weights.max()
    return float(mask[highest].mean()) if weights.any() else 0.0
