"""Whether an answer of the edge is worth a second opinion, by the documents alone. Loads no numpy."""

from collections.abc import Mapping
from typing import Any

MARGIN = 0.05
"""This share of a familiar range, at its ends, is near what is foreign."""


def is_unsure(result: Mapping[str, Any]) -> bool:
    """Whether the result (domains/core/documents.py, domains/*/sequence.py) leaves its question open: it abstained; its prediction
    set holds several labels, or none; or, of a clip, another label would lead elsewhere in the interval.
    """
    if result.get("abstained"):
        return True
    chosen, interval = result.get("prediction_set"), result.get("interval")
    if chosen is not None and len(chosen["labels"]) != 1:
        return True
    return interval is not None and _another_may_lead(result, interval["low"])


def is_near_foreign(quality: Mapping[str, Any], familiar: Mapping[str, Any]) -> bool:
    """Whether a measure lies outside of what the model's world has, or just inside of it. `quality`: measures of the picture by name
    (domains/core/quality.py); `familiar`: their least and greatest values, see Usability. A measure that either lacks says nothing.
    """
    return any(
        not _well_inside(quality[name], *familiar[name]) for name in familiar if isinstance(quality.get(name), int | float)
    )


def _well_inside(value: float, low: float, high: float) -> bool:
    margin = MARGIN * (high - low)
    above = value >= (low + margin if low > 0 else low)  # no measure is below 0: a range from there on has no lower end
    return above and value <= high - margin


def _another_may_lead(result: Mapping[str, Any], low: float) -> bool:
    """Whether the second label leads once the first has fallen to `low`, if it gets what that one loses."""
    first, second, *_ = *sorted((row["probability"] for row in result["probabilities"]), reverse=True), 0.0, 0.0
    return bool(second + (first - low) >= low)
