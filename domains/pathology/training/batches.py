"""Training batches of scans: each label as often, turned a little, cropped and relit; the same for a seed and epoch."""

from collections.abc import Sequence
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.spec import InputSpec

BATCH = 16
MARGIN = 256 / 224
"""Frames are kept a little larger than the input, so that cropping loses no sharpness."""


class ScanBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """`(real pixels (n, height, width, 3), one-hot truth (n, labels))`, float32.

    `clips`: the frames and label of each scan or clip. Every draw takes a label, then a clip, then a frame, so that
    neither the commoner label nor the longer clip outweighs the others.
    """

    def __init__(self, clips: Sequence[tuple[Sequence[Pixels], int]], labels: int, spec: InputSpec, seed: int,
                 steps: int) -> None:
        super().__init__()
        self.epoch = 0
        self._by_label = [
            [[shrink(frame, spec) for frame in frames] for frames, label in clips if label == wanted]
            for wanted in range(labels)
        ]
        self._spec = spec
        self._seed = seed
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        random = np.random.default_rng((self._seed, self.epoch, index))
        labels = random.integers(len(self._by_label), size=BATCH)
        pixels = np.stack([self._draw(int(label), random) for label in labels])
        truth = np.eye(len(self._by_label), dtype=np.float32)[labels]
        return (pixels - np.float32(self._spec.mean)) / np.float32(self._spec.std), truth

    def _draw(self, label: int, random: np.random.Generator) -> NDArray[np.float32]:
        clips = self._by_label[label]
        frames = clips[random.integers(len(clips))]
        frame = frames[random.integers(len(frames))]
        size = (self._spec.width, self._spec.height)
        turned = cv2.warpAffine(frame, placing(random, frame.shape[1], size[0]), size, flags=cv2.INTER_LINEAR)
        return relit(np.asarray(turned, np.uint8), random)


def shrink(frame: Pixels, spec: InputSpec) -> Pixels:
    """The whole frame, stretched to a little more than the input's size."""
    size = (round(spec.width * MARGIN), round(spec.height * MARGIN))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def placing(random: np.random.Generator, side: int, target: int) -> NDArray[np.float64]:
    """A 2x3 matrix from a square of `side` to one of `target`: a 70 to 105 % window, turned up to 12 degrees, mirrored
    left to right or not (never upside down: the probe is at the top), its aspect changed by up to 15 %.
    """
    window = random.uniform(0.7, 1.05)
    angle = np.deg2rad(random.uniform(-12, 12))
    aspect = np.exp(random.uniform(-0.15, 0.15))
    zoom = target / (side * window)
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    mirror = random.choice([-1.0, 1.0])
    matrix = np.array([[cosine * aspect * mirror, -sine, 0], [sine * mirror, cosine / aspect, 0]])
    slack = side * max(0.0, 1 - window) / 2
    matrix[:, 2] = target / 2 - matrix[:, :2] @ (side / 2 + random.uniform(-slack, slack, 2))
    return matrix


def relit(pixels: Pixels, random: np.random.Generator) -> NDArray[np.float32]:
    """The same scan under another gain, dynamic range and sharpness, with more noise; float32 0..255."""
    x = (pixels.astype(np.float32) / 255) ** np.float32(np.exp(random.uniform(-0.35, 0.35)))
    x = (x - 0.5) * np.float32(random.uniform(0.75, 1.3)) + np.float32(0.5 + random.uniform(-0.1, 0.1))
    if random.random() < 0.3:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 1.5)), np.float32)
    if random.random() < 0.3:
        x = x + random.normal(0, 0.03, x.shape[:2]).astype(np.float32)[..., None]
    return np.asarray(np.clip(x, 0, 1) * 255, np.float32)
