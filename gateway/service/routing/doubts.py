"""Whether an answer of the edge is worth a second opinion, by the documents alone. Loads no numpy."""

from collections.abc import Mapping
from typing import Any

NEAR = 0.9
"""From this share of the unfamiliarity at which a picture is foreign it is near that."""


def is_unsure(result: Mapping[str, Any]) -> bool:
    """Whether the result (domains/core/documents.py, domains/*/sequence.py) leaves its question open: it abstained; its prediction
    set holds several labels; or, of a clip, another label would lead elsewhere in the interval.
    """
    if result.get("abstained"):
        return True
    chosen, interval = result.get("prediction_set"), result.get("interval")
    if chosen is not None and len(chosen["labels"]) > 1:
        return True
    return interval is not None and _another_may_lead(result, interval["low"])


def is_near_foreign(quality: Mapping[str, Any], foreign_from: float | None) -> bool:
    """Whether the model hardly took the picture for one of its world. `quality`: what is known of the picture by name, of a model
    with a gate its `unfamiliarity`; `foreign_from`: see domains/core/gate.py, None where the model has no gate.
    """
    value = quality.get("unfamiliarity")
    return foreign_from is not None and value is not None and bool(value >= NEAR * foreign_from)


def _another_may_lead(result: Mapping[str, Any], low: float) -> bool:
    """Whether the second label leads once the first has fallen to `low`, if it gets what that one loses."""
    first, second, *_ = *sorted((row["probability"] for row in result["probabilities"]), reverse=True), 0.0, 0.0
    return bool(second + (first - low) >= low)
