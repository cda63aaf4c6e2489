"""A small set of pictures that can be told apart: where the bright quarter is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LABELS = ("left above", "right above", "left below", "right below")
SIDE = 12


def pictures(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey pictures (count, SIDE, SIDE, 1) and which quarter is bright."""
    random = np.random.default_rng(seed)
    images = random.integers(20, 120, (count, SIDE, SIDE, 1)).astype(np.uint8)
    truth = random.integers(0, len(LABELS), count)
    half = SIDE // 2
    for image, label in zip(images, truth, strict=True):
        above, left = label // 2 * half, label % 2 * half
        image[above : above + half, left : left + half] += np.uint8(90)
    return images, truth


def write_data(path: Path, train: int = 96) -> Path:
    """The `.npz`."""
    (train_images, train_labels), (test_images, test_labels) = pictures(train, 1), pictures(24, 2)
    np.savez(path, train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels,
             label_names=np.array(LABELS))
    return path
