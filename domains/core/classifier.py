"""A calibrated classifier's answer: probabilities, the labels that can't be ruled out, and when the question stays open."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from domains.core.calibration import Logits, softmax
from domains.core.results import Abstention, Box, Classification
from domains.usability import LOW_CONFIDENCE

Probability = Annotated[float, Meta(ge=0, le=1)]


class Calibrated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What calibration puts into a classifier's `[domain_options]`."""

    temperature: Annotated[float, Meta(gt=0)]
    abstain_below: Probability
    """Below this probability of the leading label the program doesn't stand by it."""
    prediction_set_threshold: Probability
    """From this probability on a label belongs to the prediction set; the leading one always does."""
    coverage: Probability
    """How often the set holds the truth, on data like the calibration part."""


def judge(logits: Logits, labels: Sequence[str], options: Calibrated, region: Box, noun: str = "label") -> Classification:
    """`logits`: (labels,). `region`: what the model was shown. `noun`: what a label is, for the reason of an abstention."""
    shares = softmax(logits, options.temperature)
    leading = int(shares.argmax())
    inside = shares >= options.prediction_set_threshold
    inside[leading] = True  # the rule: an empty set would rule out what is most probable
    return Classification(
        labels=tuple(labels),
        probabilities=tuple(float(share) for share in shares),
        region=region,
        prediction_set=tuple(label for label, kept in zip(labels, inside, strict=True) if kept),
        coverage=options.coverage,
        abstention=_abstention(labels[leading], float(shares[leading]), options.abstain_below, noun),
    )


def _abstention(label: str, probability: float, abstain_below: float, noun: str) -> Abstention | None:
    if probability >= abstain_below:
        return None
    return Abstention(
        LOW_CONFIDENCE,
        f"The most probable {noun}, {label}, has a probability of {probability:.2f}; "
        f"below {abstain_below:.2f} this model leaves the question open.",
    )
