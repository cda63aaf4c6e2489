"""From the network's numbers to a result: calibrated probabilities, abstention, prediction set, evidence."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from domains.core import Box, Classification, Outputs
from domains.core.classifier import judge
from domains.core.gate import FAMILIARITY, UNFAMILIARITY, refusal, unfamiliarity
from domains.core.results import HeatMap
from domains.pathology.exams import Options


def classify(outputs: Outputs, labels: Sequence[str], options: Options, region: Box,
             notices: tuple[str, ...]) -> Classification:
    """`outputs`: `logits` (1, labels), `activation` (1, h, w, labels), and of a model with a gate `familiarity` (1, K)."""
    seen = signals(outputs)
    refused = options.gate and refusal(seen[UNFAMILIARITY], options.gate)
    if refused:
        return Classification(tuple(labels), (), region, abstention=refused, notices=notices, signals=seen)
    logits = outputs["logits"][0]
    leading = int(np.argmax(logits))
    return replace(
        judge(logits, labels, options, region), heatmap=evidence(outputs["activation"][0, :, :, leading]), notices=notices,
        signals=seen,
    )


def signals(outputs: Outputs) -> dict[str, float]:
    """`evidence_spread`: the standard deviation of the evidence maps. `unfamiliarity`: see domains/core/gate.py, where the network
    gives it.
    """
    strange = {UNFAMILIARITY: unfamiliarity(outputs)} if FAMILIARITY in outputs else {}
    return {"evidence_spread": round(float(outputs["activation"][0].std()), 4), **strange}


def evidence(activation: NDArray[np.float32]) -> HeatMap:
    """What speaks for a label, place by place: float32 of the same shape (h, w), 0..1, 1 where it speaks loudest; all 0
    where nothing speaks for it (Zhou et al., 2016).
    """
    positive = np.maximum(activation, 0).astype(np.float32)
    peak = float(positive.max())
    return positive / np.float32(peak) if peak > 0 else positive
