"""Training batches of pictures: each label as often, changed as devices and hands differ; the same for a seed and epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.spec import InputSpec
from domains.pathology.training import devices

BATCH = 16
MARGIN = 256 / 224
"""Frames are kept a little larger than the input, so that cropping loses no sharpness."""
CELL = 16
"""Pixels of the input that a cell of the evidence map spans, a side."""
Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Changes:
    """What pictures of an exam may be changed by. `turn`: degrees. `upside_down`: whether they have no top. `devices`: text,
    rulers, callipers, other probes' shapes and depths are drawn, as on ultrasound devices. `colour`: how far the channels may
    part.
    """

    turn: float = 12.0
    upside_down: bool = False
    devices: bool = True
    colour: float = 0.0


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of one scan or clip. `source`: where it comes from. `mask`: the lesion of a scan, uint8 0 or 255 at the scan's
    size; None where there is none or nobody drew it.
    """

    frames: Sequence[Pixels]
    label: int
    source: str
    mask: Mask | None = None


class ScanBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """`(real pixels (n, height, width, 3), truth)`, float32. The truth is one-hot (n, labels); where clips have masks, a dict
    of it as `logits` and, as `activation` (n, h / 16, w / 16, labels), the share of each cell that the lesion covers.

    Every draw takes a label, a source, a clip and a frame, so that neither the commoner label, nor the larger source, nor
    the longer clip outweighs the others.
    """

    def __init__(self, clips: Sequence[Clip], labels: int, spec: InputSpec, changes: Changes, seed: int, steps: int) -> None:
        super().__init__()
        self.epoch = 0
        self._spec, self._changes, self._seed, self._steps = spec, changes, seed, steps
        self._masked = any(clip.mask is not None for clip in clips)
        shrunk = [Clip([shrink(frame, spec) for frame in clip.frames], clip.label, clip.source,
                       None if clip.mask is None else _shrunk_mask(clip.mask, spec)) for clip in clips]
        self._drawn_from = [_by_source([clip for clip in shrunk if clip.label == label]) for label in range(labels)]

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        random = np.random.default_rng((self._seed, self.epoch, index))
        labels = random.integers(len(self._drawn_from), size=BATCH)
        drawn = [self._draw(int(label), random) for label in labels]
        pixels = np.stack([pixels for pixels, _ in drawn])
        truth: Any = np.eye(len(self._drawn_from), dtype=np.float32)[labels]
        if self._masked:
            covered = np.stack([cells for _, cells in drawn])
            truth = {"logits": truth, "activation": covered[..., None] * truth[:, None, None, :]}
        return (pixels - np.float32(self._spec.mean)) / np.float32(self._spec.std), truth

    def _draw(self, label: int, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        clip = _one_of(_one_of(self._drawn_from[label], random), random)
        frame = _one_of(clip.frames, random)
        size = (self._spec.width, self._spec.height)
        matrix = placing(random, frame.shape[1], size[0], self._changes)
        turned = np.asarray(cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
        if self._changes.devices:
            turned = devices.another_device(turned, random)
        return relit(turned, random, self._changes), _covered(clip.mask, matrix, size)


def shrink(frame: Pixels, spec: InputSpec) -> Pixels:
    """The whole frame, stretched to a little more than the input's size."""
    size = (round(spec.width * MARGIN), round(spec.height * MARGIN))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def placing(random: np.random.Generator, side: int, target: int, changes: Changes) -> NDArray[np.float64]:
    """A 2x3 matrix from a square of `side` to one of `target`: a 65 to 105 % window (depth), turned, mirrored left to right or
    not (upside down only where the exam has no top: the probe is), its aspect changed by up to 15 %.
    """
    window = random.uniform(0.65, 1.05)
    angle = np.deg2rad(random.uniform(-changes.turn, changes.turn))
    aspect = np.exp(random.uniform(-0.15, 0.15))
    zoom = target / (side * window)
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    mirror = random.choice([-1.0, 1.0])
    over = random.choice([-1.0, 1.0]) if changes.upside_down else 1.0
    matrix = np.array([[cosine * aspect * mirror, -sine * over, 0], [sine * mirror, cosine / aspect * over, 0]])
    slack = side * max(0.0, 1 - window) / 2
    matrix[:, 2] = target / 2 - matrix[:, :2] @ (side / 2 + random.uniform(-slack, slack, 2))
    return matrix


def relit(pixels: Pixels, random: np.random.Generator, changes: Changes) -> NDArray[np.float32]:
    """The same picture under another gain, dynamic range, colour and sharpness, with more noise, coded anew; float32 0..255."""
    if random.random() < 0.3:
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 90))])[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    x = (pixels.astype(np.float32) / 255) ** np.float32(np.exp(random.uniform(-0.35, 0.35)))
    x = (x - 0.5) * np.float32(random.uniform(0.7, 1.3)) + np.float32(0.5 + random.uniform(-0.12, 0.12))
    if changes.colour:
        x = x * random.uniform(1 - changes.colour, 1 + changes.colour, 3).astype(np.float32)
    if random.random() < 0.3:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 1.6)), np.float32)
    if random.random() < 0.3:
        x = x + random.normal(0, 0.03, x.shape[:2]).astype(np.float32)[..., None]
    return np.asarray(np.clip(x, 0, 1) * 255, np.float32)


def _covered(mask: Mask | None, matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """The share of each cell of the evidence map that the lesion covers, (height / 16, width / 16)."""
    width, height = size[0] // CELL, size[1] // CELL
    if mask is None:
        return np.zeros((height, width), np.float32)
    lesion = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(lesion, (width, height), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def _by_source(clips: Sequence[Clip]) -> list[list[Clip]]:
    return [[clip for clip in clips if clip.source == source] for source in sorted({clip.source for clip in clips})]


def _one_of(choices: Sequence[Any], random: np.random.Generator) -> Any:
    return choices[int(random.integers(len(choices)))]


def _shrunk_mask(mask: Mask, spec: InputSpec) -> Mask:
    size = (round(spec.width * MARGIN), round(spec.height * MARGIN))
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
