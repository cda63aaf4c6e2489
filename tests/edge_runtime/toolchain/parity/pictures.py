"""Pictures to compare on, made of the sample scan."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLE = Path(__file__).parents[4] / "samples" / "breast_scan.jpg"
SIDE = 224


def scans(count: int) -> NDArray[np.uint8]:
    """The scan at several brightnesses, uint8 (count, 224, 224, 3)."""
    scan = cv2.imread(str(SAMPLE), cv2.IMREAD_COLOR)
    assert scan is not None
    small = cv2.resize(scan, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    shares = np.linspace(0.5, 1.0, count)
    return np.stack([np.round(small * share).astype(np.uint8) for share in shares])


def folder_of_scans(folder: Path, count: int) -> Path:
    """The same as PNG files scan_0.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, scan in enumerate(scans(count)):
        cv2.imwrite(str(folder / f"scan_{number}.png"), scan)
    return folder
