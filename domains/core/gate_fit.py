"""Fits a gate: directions of a network's pooled features in which its own world hardly varies and other pictures lie far off.

The generalised eigenvectors of (second moment of background pictures about the own mean, own covariance), the own covariance
shrunk towards its mean variance: with few own pictures, directions of next to no variance would be chance.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domains.core.image import Pixels
from domains.core.spec import InputSpec

Features = NDArray[np.float64]
AT_ONCE = 16
SHRINKAGE = 0.1
FARTHEST = 8.0
"""A background picture counts as at most so many standard deviations off, so that no noise frame sets all directions."""


def fit_gate(own: Features, background: Features, width: int) -> tuple[Features, Features]:
    """`(matrix (d, width), offset (width,))`: `features @ matrix + offset` has mean 0 and variance about 1 over `own`.

    `own` (n, d) and `background` (m, d): pooled features of pictures of the model's world and of others.
    """
    mean = own.mean(axis=0)
    spread = np.cov(own, rowvar=False)
    spread = (1 - SHRINKAGE) * spread + SHRINKAGE * np.trace(spread) / len(spread) * np.eye(len(spread))
    values, vectors = np.linalg.eigh(spread)
    whiten = vectors / np.sqrt(values)
    off = (background - mean) @ whiten
    distance = np.sqrt((off**2).mean(axis=1, keepdims=True))
    off = off * np.minimum(1, FARTHEST / np.maximum(distance, 1e-9))
    _, directions = np.linalg.eigh(off.T @ off / len(off))
    matrix = whiten @ directions[:, ::-1][:, :width]
    matrix = matrix / (own @ matrix).std(axis=0)
    return matrix, -(mean @ matrix)


def set_gate(model: Any, pooled: str, gate: str, own: Iterable[Pixels], background: Iterable[Pixels], spec: InputSpec) -> None:
    """Sets the layer `gate` (1x1 convolution) of a trained Keras model from what its layer `pooled` gives of pictures of the model's
    world and of others, uint8 (1, height, width, channels).
    """
    import keras

    features = keras.Model(model.input, model.get_layer(pooled).output)
    layer = model.get_layer(gate)
    matrix, offset = fit_gate(_pooled(features, own, spec), _pooled(features, background, spec), layer.filters)
    layer.set_weights([matrix[None, None].astype(np.float32), offset.astype(np.float32)])


def threshold(own: NDArray[np.float64], refused: float, slack: float) -> float:
    """From which unfamiliarity on a picture is foreign: about the share `refused` of `own`, held-back pictures of the model's world,
    lies above; `slack` times that, since other machines' pictures lie a little farther off.
    """
    return slack * float(np.quantile(own, 1 - refused))


def _pooled(features: Any, pictures: Iterable[Pixels], spec: InputSpec) -> Features:
    rows, source = [], iter(pictures)
    while batch := list(islice(source, AT_ONCE)):
        pixels = np.concatenate(batch).astype(np.float32)
        rows.append(np.asarray(features((pixels - spec.mean) / spec.std, training=False), np.float64).reshape(len(batch), -1))
    return np.concatenate(rows)
