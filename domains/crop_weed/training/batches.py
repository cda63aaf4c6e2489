"""Training batches of field photos: random crops, turned, scaled and relit, the same for a seed and an epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.spec import InputSpec
from domains.crop_weed.grouping import OFFSET_CELLS
from domains.crop_weed.training.data import LABELS, Truth, scaled
from domains.crop_weed.training.light import relit

BATCH = 8
SIDE = 224
"""Training crops are smaller than the model's tile: the network is convolutional, and more places are seen a second."""
PLANT_SHARE = 0.6
"""Share of the crops that are centred near a plant, small ones as often as large ones."""
LEAST_SCALE, MOST_SCALE = 0.55, 1.8
LEAST_SIGMA, MOST_SIGMA = 2.0, 6.0
SIGMA_OF_SIDE = 0.12
"""A centre's bell is this part of the side of a square as large as the plant, within the limits above; in cells."""

Real = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A photo in memory; row `number - 1` of `centres` is a plant's (x, y), of `sides` the root of its area; in pixels."""

    pixels: Pixels
    truth: Truth
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]


def learnt(pixels: Pixels, truth: Truth, long_side_px: int) -> Learnt:
    """The photo at the size at which the model sees it."""
    pixels = scaled(pixels, long_side_px)
    size = pixels.shape[1], pixels.shape[0]
    classes, plants = (cv2.resize(grid, size, interpolation=cv2.INTER_NEAREST_EXACT) for grid in (truth.classes, truth.plants))
    truth = Truth(np.asarray(classes, np.uint8), np.asarray(plants, np.int32))
    count = int(truth.plants.max()) + 1
    areas = np.bincount(truth.plants.ravel(), minlength=count)[1:]
    rows, columns = np.indices(truth.plants.shape)
    sums = [np.bincount(truth.plants.ravel(), axis.ravel(), count)[1:] for axis in (columns, rows)]
    centres = np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None]
    return Learnt(pixels, truth, centres, np.sqrt(areas))


class CropBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Real pixels (n, SIDE, SIDE, 3), and on the grid of half that side, as float32: `logits` one-hot (LABELS, then UNNAMED),
    `centres` (bell, weight), `offsets` (x, y, weight).
    """

    def __init__(self, photos: Sequence[Learnt], spec: InputSpec, seed: int, steps: int, *, two_band: bool) -> None:
        super().__init__()
        self.epoch = 0
        self._photos = photos
        self._spec = spec
        self._seed = seed
        self._steps = steps
        self._two_band = two_band

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        random = np.random.default_rng((self._seed, self.epoch, index))
        drawn = [self._draw(random) for _ in range(BATCH)]
        pixels = np.stack([pixels for pixels, _ in drawn])
        truths = {name: np.stack([truth[name] for _, truth in drawn]) for name in drawn[0][1]}
        return (pixels - np.float32(self._spec.mean)) / np.float32(self._spec.std), truths

    def _draw(self, random: np.random.Generator) -> tuple[Real, dict[str, Real]]:
        photo = self._photos[int(random.integers(len(self._photos)))]
        height, width = photo.truth.classes.shape
        centre = random.uniform((0, 0), (width, height))
        near = np.flatnonzero(photo.sides)
        if len(near) and random.random() < PLANT_SHARE:
            centre = photo.centres[random.choice(near)] + random.uniform(-SIDE / 3, SIDE / 3, 2)
        turn = _placing(random, centre)
        pixels = cv2.warpAffine(photo.pixels, turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        half = turn / 2
        half[:, 2] -= 0.25  # pixel centres: the truth's grid is half as fine
        classes, plants = (
            cv2.warpAffine(grid, half, (SIDE // 2, SIDE // 2), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
            for grid in (photo.truth.classes, photo.truth.plants.astype(np.int16))
        )
        soil = cv2.resize((np.asarray(classes) == 0).astype(np.float32), (SIDE, SIDE))
        lit = relit(np.asarray(pixels, np.uint8), np.asarray(soil, np.float32), random, two_band=self._two_band)
        return lit, _truths(np.asarray(classes, np.intp), np.asarray(plants, np.intp), photo, half)


def _truths(classes: NDArray[np.intp], plants: NDArray[np.intp], photo: Learnt, half: NDArray[np.float64]) -> dict[str, Real]:
    centres = photo.centres @ half[:, :2].T + half[:, 2]
    sides = photo.sides * np.sqrt(abs(np.linalg.det(half[:, :2])))
    rows, columns = np.indices(plants.shape)
    here = np.stack([columns, rows], axis=2)
    known = plants > 0
    offsets = np.zeros((*plants.shape, 3), np.float32)
    offsets[known, :2] = (centres[plants[known] - 1] - here[known]) / OFFSET_CELLS
    # Reflected borders show a plant again, away from its centre: only what lies about a plant's width from it counts.
    offsets[known, 2] = np.abs(offsets[known, :2]).max(axis=1) * OFFSET_CELLS < 2.5 * sides[plants[known] - 1] + 4
    bells = np.zeros(plants.shape, np.float32)
    for number in np.unique(plants[known]):
        sigma = np.clip(SIGMA_OF_SIDE * sides[number - 1], LEAST_SIGMA, MOST_SIGMA)
        x, y = (np.exp(-((np.arange(plants.shape[0]) - place) ** 2) / (2 * sigma**2)) for place in centres[number - 1])
        np.maximum(bells, np.outer(y, x).astype(np.float32), out=bells)
    unnamed = classes == len(LABELS)
    return {
        "logits": np.eye(len(LABELS) + 1, dtype=np.float32)[classes],
        "centres": np.stack([bells, np.where(unnamed, 0, 1)], axis=2).astype(np.float32),
        "offsets": offsets,
    }


def _placing(random: np.random.Generator, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """A 2x3 matrix that puts `centre` (x, y) in the middle of the crop: any angle, mirrored or not, scaled."""
    angle = random.uniform(0, 2 * np.pi)
    scale = np.exp(random.uniform(np.log(LEAST_SCALE), np.log(MOST_SCALE)))
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    mirror = random.choice([-1.0, 1.0])
    matrix = np.array([[cosine * mirror, -sine, 0], [sine * mirror, cosine, 0]])
    matrix[:, 2] = SIDE / 2 - matrix[:, :2] @ centre
    return matrix
