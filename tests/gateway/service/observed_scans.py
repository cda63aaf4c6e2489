"""What the shipped breast model answered for real pictures, as benchmarks/drift_shifts.py wrote it, and analyses of them."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from domains.usability import FOREIGN
from edge_runtime.training_statistics import ABSTAINED, LABEL, Observed, Statistics, choices, histogram, observe
from edge_runtime.wire import ModelInfo
from gateway.service.records import Analysis
from tests.gateway.store.samples import NOON, analysis_at
from tests.model_packages import BREAST_VERSION

MODEL, VERSION = "breast_ultrasound", BREAST_VERSION
LABELS = ("benign", "malignant", "normal")
_ROWS = list(csv.DictReader(Path(__file__).with_name("breast_observed.csv").read_text(encoding="utf-8").splitlines()))


def rows(shift: str, *parts: str) -> list[dict[str, str]]:
    """The answers to pictures of those parts, or of every part."""
    return [row for row in _ROWS if row["shift"] == shift and (not parts or row["part"] in parts)]


def answer(row: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A result's document and what was measured, as far as drift looks at them."""
    quality = {name: float(row[name]) for name in ("brightness", "contrast", "sharpness", "evidence_spread", "unfamiliarity")}
    document = {
        "kind": "classification", "label": row["label"], "probability": float(row["probability"]),
        "abstained": row["abstained"] == "yes", "abstention": None if row["label"] else {"code": FOREIGN, "reason": "not a breast ultrasound"},
    }
    return document, quality


def observed(shift: str, *parts: str) -> list[Observed]:
    """The numbers of those answers."""
    return [observe(*answer(row)) for row in rows(shift, *parts)]


def statistics_of(seen: Sequence[Observed], unseen: Sequence[Observed]) -> Statistics:
    """Training statistics: inputs of `seen`, outputs of `unseen`."""
    offered = {ABSTAINED: ("no", "yes"), LABEL: LABELS}
    return Statistics(
        "int8",
        {name: histogram([(one.inputs[name], 1.0) for one in seen], len(seen)) for name in seen[0].inputs},
        {name: histogram([(one.outputs[name], 1.0) for one in unseen if name in one.outputs], len(unseen)) for name in unseen[0].outputs},
        {
            name: choices([(one.choices[name], 1.0) for one in unseen if name in one.choices], offered[name], len(unseen))
            for name in unseen[0].choices
        },
    )


TRAINED = statistics_of(observed("none", "train"), observed("none", "val"))
"""Leaves the calibration part out, to be compared with."""


class BreastOnly:
    """A node that serves the breast model."""

    def models(self) -> Sequence[ModelInfo]:
        """As Node.models; one is there without statistics."""
        return [
            ModelInfo(MODEL, "ready", version=VERSION, statistics=TRAINED), ModelInfo("old", "ready", version="0.9"),
            ModelInfo("bad", "refused"),
        ]


def analyses_of(shift: str, *parts: str, tenant: str = "clinic", hours: int = 0) -> list[Analysis]:
    """Stored analyses of those pictures, a second apart, the first so many hours after noon."""
    start = NOON + timedelta(hours=hours)
    made = []
    for number, row in enumerate(rows(shift, *parts)):
        document, quality = answer(row)
        analysis = analysis_at(start + timedelta(seconds=number), len(tenant), tenant=tenant)
        made.append(replace(
            analysis, model=MODEL, label=row["label"], abstained=document["abstained"], result=document,
            media={"format": "png", "quality": quality}, provenance={"model": {"name": MODEL, "version": VERSION}},
        ))
    return made
