"""The gate of a trained network: its `familiarity` layer, set from pictures of the exam and of everything else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from domains.core import InputSpec, Pixels
from domains.core.gate_fit import set_gate, threshold
from domains.foreign import kinds
from domains.pathology.preprocess import fit_to_input

BACKGROUND_OF_A_KIND = 120
REFUSED = 0.02
SLACK = 1.3
GAINS = (0.5, 0.75, 1.0, 1.15)
"""The exam's own pictures are learnt at these gains: a dim one is still one of its own."""
NOISE = 10.0
"""They are also learnt with noise of up to so many grey levels, ..."""
QUALITY = (25, 90)
"""... coded anew as JPEG of such a quality, ..."""
TINT = 0.2
"""... and twice tinted, each channel by up to so much: devices have sepia and blue maps, and screens are photographed."""


def fit(model: Any, own: Sequence[Pixels], data: Path, own_kinds: frozenset[str], spec: InputSpec) -> None:
    """Sets the layer. `own`: uint8 (1, h, w, 3), pictures of the training part. Raises FileNotFoundError."""
    from domains.pathology.training.network import FEATURES, GATE

    random = np.random.default_rng(0)
    shown = (view for pixels in own for view in views(pixels, random))
    set_gate(model, FEATURES, GATE, shown, background(data, own_kinds, spec, BACKGROUND_OF_A_KIND), spec)


def views(pixels: Pixels, random: np.random.Generator) -> Iterator[Pixels]:
    """What `fit` learns of an own picture, uint8 (1, h, w, 3): at every gain, noisy, coded anew, and twice tinted."""
    for gain in GAINS:
        yield _bounded(pixels * gain)
    yield _bounded(pixels + random.normal(0, random.uniform(0, NOISE), pixels.shape[:3])[..., None])
    coded = cv2.imencode(".jpg", pixels[0, ..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(*QUALITY))])[1]
    yield np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[None, ..., ::-1]
    for _ in range(2):
        yield _bounded(pixels * random.uniform(1 - TINT, 1 + TINT, 3))


def background(data: Path, own_kinds: frozenset[str], spec: InputSpec, most: int) -> Iterator[Pixels]:
    """At most so many pictures of each foreign kind's training part, uint8 (1, h, w, 3). Raises FileNotFoundError."""
    for pictures in kinds(data, "train", most=most, without=own_kinds).values():
        yield from (fit_to_input(picture.pixels, spec) for picture in pictures)


def foreign_from(distances: Sequence[float]) -> float:
    """`[domain_options.gate] foreign_from`, from the unfamiliarity of the calibration part's pictures."""
    return round(threshold(np.array(distances), REFUSED, SLACK), 4)


def _bounded(values: Any) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.uint8)
