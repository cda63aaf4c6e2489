"""The gate of a trained network: its `familiarity` layer, set from pictures of the exam and of everything else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels
from domains.core.gate_fit import fit_gate, threshold
from domains.foreign import kinds
from domains.pathology.preprocess import fit_to_input

AT_ONCE = 32
BACKGROUND_OF_A_KIND = 120
REFUSED = 0.02
SLACK = 1.15
GAINS = (0.5, 0.75, 1.0, 1.15)
"""The exam's own pictures are learnt at these gains: a dim one is still one of its own."""


def fit(model: Any, own: Sequence[Pixels], data: Path, own_kinds: frozenset[str], spec: InputSpec) -> None:
    """Sets the layer. `own`: uint8 (1, h, w, 3), pictures of the training part. Raises FileNotFoundError."""
    import keras

    from domains.pathology.training.network import FEATURES, GATE, GATE_WIDTH

    features = keras.Model(model.input, model.get_layer(FEATURES).output)
    seen = [np.asarray(np.clip(pixels * gain, 0, 255), np.uint8) for pixels in own for gain in GAINS]
    others = [fit_to_input(picture.pixels, spec) for pictures in kinds(data, "train", most=BACKGROUND_OF_A_KIND, without=own_kinds).values()
              for picture in pictures]
    matrix, offset = fit_gate(_pooled(features, seen, spec), _pooled(features, others, spec), GATE_WIDTH)
    model.get_layer(GATE).set_weights([matrix[None, None].astype(np.float32), offset.astype(np.float32)])


def foreign_from(distances: Sequence[float]) -> float:
    """`[domain_options.gate] foreign_from`, from the unfamiliarity of the calibration part's pictures."""
    return round(threshold(np.array(distances), REFUSED, SLACK), 4)


def _pooled(features: Any, pictures: Sequence[Pixels], spec: InputSpec) -> NDArray[np.float64]:
    rows = []
    for start in range(0, len(pictures), AT_ONCE):
        pixels = np.concatenate(pictures[start : start + AT_ONCE]).astype(np.float32)
        rows.append(np.asarray(features((pixels - spec.mean) / spec.std, training=False), np.float64))
    return np.concatenate(rows).reshape(len(pictures), -1)
