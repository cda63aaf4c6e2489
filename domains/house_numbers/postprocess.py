"""From the network's numbers to a result: calibrated probabilities, abstention, prediction set."""

from collections.abc import Sequence

import numpy as np

from domains.core import Abstention, Box, Classification, Outputs
from domains.core.calibration import Logits, softmax
from domains.house_numbers.options import Options

LOW_CONFIDENCE = "low_confidence"
FLOOR = 1 / 512
"""Of a probability: half a step of an int8 output. Below it the file can't tell one from another."""


def classify(outputs: Outputs, labels: Sequence[str], options: Options, region: Box) -> Classification:
    """`outputs`: `probabilities` (1, labels), or `logits` of the same shape. `region`: what the model was shown."""
    shares = softmax(logits_of(outputs), options.temperature)
    leading = int(shares.argmax())
    inside = shares >= options.prediction_set_threshold
    return Classification(
        labels=tuple(labels),
        probabilities=tuple(float(share) for share in shares),
        region=region,
        prediction_set=tuple(label for label, kept in zip(labels, inside, strict=True) if kept),
        coverage=options.coverage,
        abstention=_abstention(labels[leading], float(shares[leading]), options),
    )


def logits_of(outputs: Outputs) -> Logits:
    """The network's logits, (labels,). One that ends in Softmax gives `probabilities`, of which they are the logarithm."""
    if "logits" in outputs:
        return np.asarray(outputs["logits"][0], np.float32)
    return np.asarray(np.log(np.maximum(outputs["probabilities"][0], FLOOR)), np.float32)


def _abstention(label: str, probability: float, options: Options) -> Abstention | None:
    if probability >= options.abstain_below:
        return None
    return Abstention(
        LOW_CONFIDENCE,
        f"The most probable digit, {label}, has a probability of {probability:.2f}; "
        f"below {options.abstain_below:.2f} this model leaves the question open.",
    )
