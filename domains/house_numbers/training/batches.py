"""Training batches of digits: each digit as often, shifted, turned and relit a little; the same for a seed and epoch."""

from collections.abc import Sequence
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels

BATCH = 32


class DigitBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """`(real pixels (n, height, width, 1), one-hot truth (n, 10))`, float32. `crops`: uint8 (1, height, width, 1)."""

    def __init__(self, crops: Sequence[Pixels], labels: Sequence[int], spec: InputSpec, seed: int, steps: int) -> None:
        super().__init__()
        self.epoch = 0
        self._by_label = [[crop for crop, label in zip(crops, labels, strict=True) if label == digit]
                          for digit in range(10)]
        self._spec = spec
        self._seed = seed
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        random = np.random.default_rng((self._seed, self.epoch, index))
        labels = random.integers(10, size=BATCH)
        drawn = np.stack([changed(self._draw(int(label), random), random) for label in labels])
        return (drawn - np.float32(self._spec.mean)) / np.float32(self._spec.std), np.eye(10, dtype=np.float32)[labels]

    def _draw(self, label: int, random: np.random.Generator) -> Pixels:
        crops = self._by_label[label]
        return crops[random.integers(len(crops))][0, :, :, 0]


def changed(grey: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """uint8 (h, w) as float32 (h, w, 1), 0..255: moved by up to 2 pixels, turned up to 10 degrees, scaled by up to 15 %, under
    another light, and with dark and bright exchanged in half of the cases: both are painted on houses.
    """
    height, width = grey.shape
    scale = float(np.exp(random.uniform(-0.15, 0.15)))
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), random.uniform(-10, 10), scale))
    matrix[:, 2] = matrix[:, 2] + random.uniform(-2, 2, 2)
    turned = cv2.warpAffine(grey, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x = turned.astype(np.float32) / 255
    x = (x - 0.5) * np.float32(random.uniform(0.7, 1.3)) + np.float32(0.5 + random.uniform(-0.15, 0.15))
    if random.random() < 0.5:
        x = 1 - x
    return np.asarray(np.clip(x, 0, 1) * 255, np.float32)[..., None]
