"""Turns logits into honest numbers: probabilities, a conformal threshold and a threshold of abstention."""

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32] | NDArray[np.float64]
Probabilities = NDArray[np.float64]
Labels = NDArray[np.int64]

COLDEST, HOTTEST = 0.25, 8.0
OFFSET_SPREAD = 0.5
OFFSET_STEPS, OFFSET_RATE = 3000, 0.5


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
    choices = np.geomspace(COLDEST, HOTTEST, 201)
    losses = [-np.log(softmax(logits, t)[np.arange(len(truth)), truth] + 1e-12).mean() for t in choices]
    return float(choices[int(np.argmin(losses))])


def offsets_of(logits: Logits, truth: Labels) -> NDArray[np.float64]:
    """What to add to each label's logit, sum 0, for labels that training has taught to be shy or bold: a network that knows its few
    pictures of a label by heart is less sure of that label's other pictures.

    The offsets of bias-corrected temperature scaling (Alexandari et al., 2020), times its temperature: least negative log-likelihood with
    each label counting the same, and a normal prior of `OFFSET_SPREAD` logits, so that few cases move little. `logits` (n, labels),
    `truth` (n,) indices, each label at least once.
    """
    labels = logits.shape[1]
    counted = (1 / np.bincount(truth, minlength=labels))[truth]
    shares = counted / counted.sum()
    certainty = 1 / (len(truth) * OFFSET_SPREAD**2)
    wanted = np.eye(labels)[truth]
    offsets, inverse, squared = np.zeros(labels), 1.0, (shares[:, None] * logits**2).sum()
    for _ in range(OFFSET_STEPS):
        missed = (softmax(logits * inverse + offsets) - wanted) * shares[:, None]
        offsets = offsets - OFFSET_RATE * (missed.sum(axis=0) + certainty * offsets)
        inverse = max(1 / HOTTEST, inverse - OFFSET_RATE * float((missed * logits).sum() / squared))
    centred: NDArray[np.float64] = (offsets - offsets.mean()) / inverse
    return centred


def conformal_threshold(probabilities: Probabilities, truth: Labels, coverage: float) -> float:
    """The probability from which a label belongs to the prediction set, so that the truth does with `coverage`.

    Split conformal prediction with the LAC score 1 - p(truth) and the finite-sample quantile
    ceil((n + 1) * coverage) / n (Sadinle et al., 2019; Angelopoulos and Bates, 2021). 0 where n is too small.
    """
    scores = np.sort(1 - probabilities[np.arange(len(truth)), truth])
    rank = int(np.ceil((len(scores) + 1) * coverage))
    return 0.0 if rank > len(scores) else float(max(0.0, 1 - scores[rank - 1]))


def abstention_threshold(probabilities: Probabilities, truth: Labels, accuracy: float, most_open: float) -> float:
    """The least leading probability to stand by: as few cases left open as give `accuracy` among the answered ones,
    and never more than the share `most_open`.
    """
    leading = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    order = np.sort(leading)
    allowed = order[: max(1, int(len(order) * most_open))]
    for threshold in np.concatenate(([0.0], allowed)):
        if right[leading >= threshold].mean() >= accuracy:
            return float(threshold)
    return float(allowed[-1])


def calibrate(logits: Logits, truth: Labels, coverage: float, accuracy: float, most_open: float) -> dict[str, float]:
    """Temperature, thresholds and coverage as the keys of `[domain_options]`, rounded to 4 digits."""
    temperature = round(temperature_of(logits, truth), 4)
    shares = softmax(logits, temperature)
    return {
        "temperature": temperature,
        "abstain_below": round(abstention_threshold(shares, truth, accuracy, most_open), 4),
        "prediction_set_threshold": round(conformal_threshold(shares, truth, coverage), 4),
        "coverage": coverage,
    }
