"""Training batches of field photos: random crops, turned, scaled and relit, the same for a seed and an epoch."""

from collections.abc import Sequence
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.spec import InputSpec

Mask = NDArray[np.uint8]
BATCH = 8
SIDE = 256
"""Training crops are smaller than the model's tile: the network is convolutional, and more places are seen a second."""
RARE_SHARE = 0.5
"""Share of the crops that are centred on a weed."""
LABEL_COUNT = 3


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """`(real pixels (n, SIDE, SIDE, 3), one-hot truth (n, SIDE / 2, SIDE / 2, 3))`, float32."""

    def __init__(self, photos: Sequence[tuple[Pixels, Mask]], spec: InputSpec, seed: int, steps: int) -> None:
        super().__init__()
        self.epoch = 0
        self._photos = photos
        self._weeds = [np.argwhere(mask[::8, ::8] == 2) * 8 for _, mask in photos]
        self._spec = spec
        self._seed = seed
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        random = np.random.default_rng((self._seed, self.epoch, index))
        pairs = [self._draw(random) for _ in range(BATCH)]
        pixels = np.stack([pixels for pixels, _ in pairs])
        truth = np.eye(LABEL_COUNT, dtype=np.float32)[np.stack([mask for _, mask in pairs])]
        return (pixels - np.float32(self._spec.mean)) / np.float32(self._spec.std), truth

    def _draw(self, random: np.random.Generator) -> tuple[NDArray[np.float32], Mask]:
        chosen = int(random.integers(len(self._photos)))
        pixels, mask = self._photos[chosen]
        height, width = mask.shape
        centre = random.uniform((0, 0), (height, width))
        weeds = self._weeds[chosen]
        if len(weeds) and random.random() < RARE_SHARE:
            centre = weeds[random.integers(len(weeds))] + random.uniform(-SIDE / 3, SIDE / 3, 2)
        turn = _placing(random, centre[::-1])
        crop = cv2.warpAffine(pixels, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        small = turn / 2
        small[:, 2] -= 0.25  # pixel centres: the truth's grid is half as fine
        truth = cv2.warpAffine(mask, small, (SIDE // 2, SIDE // 2), flags=cv2.INTER_NEAREST,
                               borderMode=cv2.BORDER_REFLECT_101)
        return relit(np.asarray(crop, np.uint8), random), np.asarray(truth, np.uint8)


def _placing(random: np.random.Generator, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """A 2x3 matrix that puts `centre` (x, y) in the middle of the crop: any angle, mirrored or not, 0.6 to 1.6 x."""
    angle = random.uniform(0, 2 * np.pi)
    scale = np.exp(random.uniform(np.log(0.6), np.log(1.6)))
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    mirror = random.choice([-1.0, 1.0])
    matrix = np.array([[cosine * mirror, -sine, 0], [sine * mirror, cosine, 0]])
    matrix[:, 2] = SIDE / 2 - matrix[:, :2] @ centre
    return matrix


def relit(pixels: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """The same picture under another light and lens: gamma, contrast, colour cast, blur, noise; float32 0..255."""
    x = pixels.astype(np.float32) / 255
    x = x ** np.float32(np.exp(random.uniform(-0.4, 0.4)))
    x = (x - 0.45) * np.float32(random.uniform(0.7, 1.3)) + np.float32(0.45 + random.uniform(-0.12, 0.12))
    x = x * random.uniform(0.88, 1.12, 3).astype(np.float32)
    if random.random() < 0.25:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 1.4)), np.float32)
    if random.random() < 0.25:
        x = x + random.normal(0, 0.03, x.shape).astype(np.float32)
    return np.asarray(np.clip(x, 0, 1) * 255, np.float32)
