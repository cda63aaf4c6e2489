"""Turns held-out logits into honest numbers: a temperature, a conformal threshold and a threshold of abstention."""

import numpy as np

from domains.core.calibration import Labels, Logits, Probabilities, softmax, temperature_of


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
