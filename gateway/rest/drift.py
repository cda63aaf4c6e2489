"""How far a model's last answers are from its training: the path, its document and that document as types."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from gateway.rest.calls import as_json, caller_of
from gateway.rest.openapi import KEYED
from gateway.rest.result_schemas import Document
from gateway.service.learning.drift import Measure
from gateway.service.learning.reports import DEFAULT_LAST, MOST_LAST, Drift, DriftReport

router = APIRouter(prefix="/v1/models", tags=["models"])

Band = Literal["too_few", "stable", "moderate", "large"]


class DriftBin(Document):
    """One bin of a histogram, or one choice, with its share of the training cases and of the answers, 0 to 1."""

    name: str = Field(examples=["0.2 to 0.25"])
    expected: float
    found: float


class DriftMeasure(Document):
    """One thing that was compared."""

    kind: Literal["input", "output"]
    name: str = Field(examples=["brightness"])
    band: Band
    """`too_few` says nothing; docs/learning.md has the rule."""
    answers: int
    needed: int
    """With fewer answers nothing is said."""
    training_cases: int
    psi: float | None
    """The population stability index; null where there are too few answers."""
    psi_by_chance: float | None
    """What it is on average where nothing drifts."""
    p: float | None
    """How often such a difference comes by chance (chi-squared)."""
    bins: list[DriftBin]


class DriftReportDocument(Document):
    """A model's last answers against its training statistics."""

    model: str = Field(examples=["breast_ultrasound"])
    version: str = Field(examples=["1.1.0"])
    band: Band
    """That of the measure that drifted most."""
    answers: int
    passed_over: int
    """Answers in between that don't count: of clips, of other versions, second opinions."""
    oldest_at: str | None = Field(examples=["2026-01-31T08:30:00.000Z"])
    newest_at: str | None = Field(examples=["2026-01-31T08:30:00.000Z"])
    measures: list[DriftMeasure]


@router.get("/{model}/drift", response_model=DriftReportDocument, **KEYED)
async def get_drift(
    request: Request, model: str,
    last: int = Query(
        DEFAULT_LAST, description=f"Of how many answers; at most {MOST_LAST}.",
        json_schema_extra={"minimum": 1, "maximum": MOST_LAST},
    ),
) -> Response:
    """How far the last answers of the key's tenant are from what the model saw and said in training. Needs the scope `read`."""
    drift: Drift = request.app.state.drift
    return as_json(report_to_json(await drift.report(await caller_of(request), model, last=last)))


def report_to_json(report: DriftReport) -> dict[str, Any]:
    """A report."""
    return {
        "model": report.model,
        "version": report.version,
        "band": report.band,
        "answers": report.answers,
        "passed_over": report.passed_over,
        "oldest_at": report.oldest and _time(report.oldest),
        "newest_at": report.newest and _time(report.newest),
        "measures": [_measure(measure) for measure in report.measures],
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "kind": measure.kind,
        "name": measure.name,
        "band": measure.band,
        "answers": measure.cases,
        "needed": measure.needed,
        "training_cases": measure.training_cases,
        "psi": measure.psi,
        "psi_by_chance": measure.chance,
        "p": measure.p,
        "bins": [{"name": row.name, "expected": row.expected, "found": row.found} for row in measure.bins],
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
