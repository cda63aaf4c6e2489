"""A stored analysis as the output tensors of a whole model."""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.service.inference.arrays import Array, from_values, pack
from gateway.service.inference.models import Model
from gateway.service.inference.requests import BASE64, CONTENT_TYPE
from gateway.service.records import Analysis


def outputs_of(model: Model, analysis: Analysis, mask: bytes) -> list[Array]:
    """Every output, in the model's order. `mask`: the class map as a PNG, empty where there is none.

    Of a foreign picture, and of a clip of which no frame counts, there are no probabilities, and a clip of a field has no areas:
    then they are NaN.
    """
    result, labels = analysis.result, model.info.labels
    make: Mapping[str, Callable[[], bytes]] = {
        "label": lambda: pack([str(result.get("label", "")).encode()]),
        "labels": lambda: pack(label.encode() for label in labels),
        "probabilities": lambda: _numbers(labels, result.get("probabilities"), "probability"),
        "area_fractions": lambda: _numbers(labels, result.get("classes"), "area_fraction"),
        "abstained": lambda: from_values("abstained", "BOOL", [bool(result.get("abstained"))]),
        "abstention": lambda: pack([_reason(result.get("abstention")).encode()]),
        "result": lambda: pack([msgspec.json.encode(result)]),
        "provenance": lambda: pack([msgspec.json.encode(analysis.provenance)]),
        "analysis_id": lambda: pack([analysis.id.encode()]),
        "mask": lambda: pack([mask]),
    }
    return [
        Array(one.name, one.datatype, one.shape, make[one.name](), {CONTENT_TYPE: BASE64} if one.name == "mask" else {})
        for one in model.outputs
    ]


def _numbers(labels: Sequence[str], rows: object, name: str) -> bytes:
    found = {row["label"]: row[name] for row in rows} if isinstance(rows, list) else {}
    return from_values(name, "FP32", [float(found.get(label, math.nan)) for label in labels])


def _reason(abstention: object) -> str:
    return str(abstention["reason"]) if isinstance(abstention, dict) else ""
