"""From the network's numbers to a result: calibrated probabilities, abstention, prediction set."""

from collections.abc import Sequence

import numpy as np

from domains.core import Box, Classification, Outputs
from domains.core.calibration import Logits
from domains.core.classifier import judge
from domains.house_numbers.options import Options

FLOOR = 1 / 512
"""Of a probability: half a step of an int8 output. Below it the file can't tell one from another."""


def classify(outputs: Outputs, labels: Sequence[str], options: Options, region: Box) -> Classification:
    """`outputs`: `probabilities` (1, labels), or `logits` of the same shape. `region`: what the model was shown."""
    return judge(logits_of(outputs), labels, options, region, noun="digit")


def logits_of(outputs: Outputs) -> Logits:
    """The network's logits, (labels,). One that ends in Softmax gives `probabilities`, of which they are the logarithm."""
    if "logits" in outputs:
        return np.asarray(outputs["logits"][0], np.float32)
    return np.asarray(np.log(np.maximum(outputs["probabilities"][0], FLOOR)), np.float32)
