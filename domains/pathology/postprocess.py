"""From the network's numbers to a result: calibrated probabilities, abstention, prediction set, evidence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from domains.core import Abstention, Box, Classification, Outputs
from domains.core.calibration import softmax
from domains.core.results import HeatMap
from domains.pathology.exams import Options

LOW_CONFIDENCE = "low_confidence"


def classify(outputs: Outputs, labels: Sequence[str], options: Options, region: Box,
             notices: tuple[str, ...]) -> Classification:
    """`outputs`: `logits` (1, labels) and `activation` (1, h, w, labels)."""
    shares = softmax(outputs["logits"][0], options.temperature)
    leading = int(shares.argmax())
    inside = shares >= options.prediction_set_threshold
    return Classification(
        labels=tuple(labels),
        probabilities=tuple(float(share) for share in shares),
        region=region,
        prediction_set=tuple(label for label, kept in zip(labels, inside, strict=True) if kept),
        coverage=options.coverage,
        abstention=abstention(labels[leading], float(shares[leading]), options),
        heatmap=evidence(outputs["activation"][0, :, :, leading]),
        notices=notices,
        signals=signals(outputs),
    )


def signals(outputs: Outputs) -> dict[str, float]:
    """`evidence_spread`: the standard deviation of the evidence maps. Pictures of another world often stir them more."""
    return {"evidence_spread": round(float(outputs["activation"][0].std()), 4)}


def abstention(label: str, probability: float, options: Options) -> Abstention | None:
    """Why the leading label isn't stood by, or None where it is."""
    if probability >= options.abstain_below:
        return None
    return Abstention(
        LOW_CONFIDENCE,
        f"The most probable label, {label}, has a probability of {probability:.2f}; "
        f"below {options.abstain_below:.2f} this model leaves the question open.",
    )


def evidence(activation: NDArray[np.float32]) -> HeatMap:
    """What speaks for a label, place by place: float32 of the same shape (h, w), 0..1, 1 where it speaks loudest; all 0
    where nothing speaks for it (Zhou et al., 2016).
    """
    positive = np.maximum(activation, 0).astype(np.float32)
    peak = float(positive.max())
    return positive / np.float32(peak) if peak > 0 else positive
