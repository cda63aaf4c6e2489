"""Turns logits into honest probabilities."""

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32] | NDArray[np.float64]
Probabilities = NDArray[np.float64]
Labels = NDArray[np.int64]


def softmax(logits: Logits, temperature: float = 1.0) -> Probabilities:
    """Probabilities along the last axis of `logits / temperature`."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def temperature_of(logits: Logits, truth: Labels) -> float:
    """The temperature of least negative log-likelihood, between 0.25 and 8 (Guo et al., 2017).

    `logits` (n, labels), `truth` (n,) indices.
    """
    choices = np.geomspace(0.25, 8, 201)
    losses = [-np.log(softmax(logits, t)[np.arange(len(truth)), truth] + 1e-12).mean() for t in choices]
    return float(choices[int(np.argmin(losses))])
