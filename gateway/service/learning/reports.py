"""Drift reports: the last answers of a model in service, against what its package says of its training."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from edge_runtime.training_statistics import STILLS, Statistics, observe
from edge_runtime.wire import ModelInfo
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import READ, Caller
from gateway.service.learning.drift import Band, Measure, compare, worst
from gateway.service.ports import AnalysisStore
from gateway.service.records import Analysis, AnalysisFilter

DEFAULT_LAST = 500
MOST_LAST = 5000
READ_FOR_ONE = 4
"""At most so many stored answers are read for each one that is wanted."""
_PAGE = 100


class Models(Protocol):
    """The part of a node that is needed here."""

    def models(self) -> Sequence[ModelInfo]:
        """As Node.models."""
        ...


@dataclass(frozen=True, slots=True)
class DriftReport:
    """How far a model's last answers are from its training. Times are of the oldest and the newest answer."""

    model: str
    version: str
    tenant: str
    answers: int
    passed_over: int
    """Answers in between that don't count: of clips, of other versions, second opinions."""
    oldest: datetime | None
    newest: datetime | None
    measures: tuple[Measure, ...]

    @property
    def band(self) -> Band:
        """That of the measure that drifted most."""
        return worst(self.measures)


class Drift:
    """Reads only. Each tenant's answers are looked at by themselves: clinics differ, and so do fields."""

    def __init__(self, analyses: AnalysisStore, node: Models) -> None:
        self._analyses = analyses
        self._node = node

    def models(self) -> list[str]:
        """Those that can be reported on."""
        return [info.name for info in self._node.models() if info.statistics is not None]

    async def report(self, caller: Caller, model: str, *, last: int = DEFAULT_LAST) -> DriftReport:
        """The last `last` answers of the caller's tenant by the version in service. Raises ServiceError: NOT_FOUND for an
        unknown model or one whose package holds no statistics, INVALID_ARGUMENT, PERMISSION_DENIED without `read`.
        """
        caller.require(READ)
        if not 1 <= last <= MOST_LAST:
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"a report is of 1 to {MOST_LAST} answers", parameter="last")
        info = next((info for info in self._node.models() if info.name == model and info.state == "ready"), None)
        if info is None:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no model of that name")
        if info.statistics is None:
            raise ServiceError(
                ErrorCode.NOT_FOUND,
                f"the package of {model} {info.version} holds no training statistics to compare with; "
                "`hedgerow statistics` measures them",
            )
        return await asyncio.to_thread(self._report, caller.tenant, info, info.statistics, last)

    def _report(self, tenant: str, info: ModelInfo, statistics: Statistics, last: int) -> DriftReport:
        found: list[Analysis] = []
        read = 0
        for analysis in self._newest(tenant, info.name, READ_FOR_ONE * last):
            read += 1
            if _counts(analysis, info.version):
                found.append(analysis)
                if len(found) == last:
                    break
        observed = [observe(analysis.result, analysis.media.get("quality", {})) for analysis in found]
        times = [analysis.created_at for analysis in found]
        return DriftReport(
            info.name, info.version, tenant, len(found), read - len(found), min(times, default=None),
            max(times, default=None), compare(statistics, observed),
        )

    def _newest(self, tenant: str, model: str, most: int) -> Iterable[Analysis]:
        before_id: str | None = None
        for _ in range(0, most, _PAGE):
            page = self._analyses.page(tenant, AnalysisFilter(model=model), before_id=before_id, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            before_id = page[-1].id


def _counts(analysis: Analysis, version: str) -> bool:
    """Second opinions are of pictures that were answered before, and of hard ones: they would tilt the whole."""
    provenance = analysis.provenance
    of_version = provenance["model"]["version"] == version
    return analysis.result["kind"] in STILLS and of_version and not provenance.get("opinion_on")
