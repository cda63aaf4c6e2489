"""Results and verdicts, as documents, in a line for people."""

from collections.abc import Mapping
from typing import Any

from domains.usability import is_foreign

MOST = 0.99
"""No line says "100 %"."""


def percent(probability: float) -> str:
    """A probability, such as "87%"."""
    return f"{min(probability, MOST):.0%}"


def summary(result: Mapping[str, Any]) -> str:
    """A result of a picture, or the verdict on a clip or a stream, in one line."""
    if is_foreign(result):
        return f"no verdict: {result['abstention']['reason']}"
    said = _SAID[result["kind"]](result)
    return f"no verdict: {result['abstention']['reason']} Leading: {said}" if result["abstained"] else said


def headline(document: Mapping[str, Any]) -> str:
    """A running verdict without the frames that it rests on."""
    if document["abstained"]:
        return f"no verdict now: {document['abstention']['reason']}"
    return _SHORT[document["kind"]](document)


def usable(document: Mapping[str, Any]) -> str:
    """How many of the frames count, and why others don't."""
    frames = document["frames"]
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(frames["unusable"].items()) if count)
    return f"{frames['usable']} of {frames['analysed']} frames usable{f' ({reasons})' if reasons else ''}"


def _classified(result: Mapping[str, Any]) -> str:
    return f"{result['label']} {percent(result['probability'])}"


def _with_interval(result: Mapping[str, Any]) -> str:
    if not result["label"]:
        return "nothing usable yet"
    interval = result["interval"]
    return _classified(result) + (f" ({interval['low']:.0%} to {interval['high']:.0%})" if interval else "")


def _classified_clip(result: Mapping[str, Any]) -> str:
    return f"{_with_interval(result)}, {usable(result)}"


def _segmented(result: Mapping[str, Any]) -> str:
    counts: dict[str, int] = {}
    for instance in result["instances"]:
        counts[instance["label"]] = counts.get(instance["label"], 0) + 1
    return ", ".join(
        f"{row['label']} {row['area_fraction']:.1%}" + (f" ({counts[row['label']]})" if row["label"] in counts else "")
        for row in result["classes"]
    )


def _counted(result: Mapping[str, Any]) -> str:
    counted = ", ".join(f"{row['count']} {row['label']}" for row in result["classes"])
    return f"{counted or 'nothing'} counted"


def _tracked(result: Mapping[str, Any]) -> str:
    return f"{_counted(result)}, {usable(result)}"


_SAID = {
    "classification": _classified,
    "segmentation": _segmented,
    "clip_classification": _classified_clip,
    "running_classification": _classified_clip,
    "clip_tracking": _tracked,
    "running_tracking": _tracked,
}
_SHORT = {"running_classification": _with_interval, "running_tracking": _counted}
