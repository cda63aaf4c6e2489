"""How shy or bold a trained network is of each label, set right on scans that it was not trained on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from domains.core import InputSpec, Pixels
from domains.core.calibration import offsets_of


def fit(model: Any, scans: Sequence[tuple[Sequence[Pixels], int]], spec: InputSpec) -> None:
    """Adds the offsets to the logits of the trained Keras model. `scans`: the frames, uint8 (1, h, w, 3), and the label's index of each
    scan of the calibration part; a clip counts once. Without a scan of each label nothing is added.
    """
    from domains.pathology.training.network import OFFSET, logits_of

    layer = model.get_layer(OFFSET)
    kernel, bias = layer.get_weights()
    truth = np.array([label for _, label in scans])
    if len(np.unique(truth)) < len(bias):
        return
    logits = [logits_of(model, frames, spec).mean(axis=0) for frames, _ in scans]
    offsets = offsets_of(np.array(logits), truth)
    layer.set_weights([kernel, bias + offsets.astype(np.float32)])
