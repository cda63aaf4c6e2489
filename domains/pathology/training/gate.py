"""The gate of a trained network: its `familiarity` layer, set from pictures of the exam and of everything else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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


def fit(model: Any, own: Sequence[Pixels], data: Path, own_kinds: frozenset[str], spec: InputSpec) -> None:
    """Sets the layer. `own`: uint8 (1, h, w, 3), pictures of the training part. Raises FileNotFoundError."""
    from domains.pathology.training.network import FEATURES, GATE

    seen = (np.asarray(np.clip(pixels * gain, 0, 255), np.uint8) for pixels in own for gain in GAINS)
    set_gate(model, FEATURES, GATE, seen, background(data, own_kinds, spec, BACKGROUND_OF_A_KIND), spec)


def background(data: Path, own_kinds: frozenset[str], spec: InputSpec, most: int) -> Iterator[Pixels]:
    """At most so many pictures of each foreign kind's training part, uint8 (1, h, w, 3). Raises FileNotFoundError."""
    for pictures in kinds(data, "train", most=most, without=own_kinds).values():
        yield from (fit_to_input(picture.pixels, spec) for picture in pictures)


def foreign_from(distances: Sequence[float]) -> float:
    """`[domain_options.gate] foreign_from`, from the unfamiliarity of the calibration part's pictures."""
    return round(threshold(np.array(distances), REFUSED, SLACK), 4)
