"""`hedgerow drift` and `hedgerow statistics`: what models saw and said in training, and what they see and say now."""

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.backends import VARIANTS
from edge_runtime.catalogue import Catalogue
from edge_runtime.embedded import package_folders
from edge_runtime.errors import PackageError
from edge_runtime.training_statistics import Choices, Histogram, Statistics
from edge_runtime.versions import ModelStore
from edge_runtime.wire import ModelInfo
from gateway.service.errors import ServiceError
from gateway.service.keys import READ, Caller
from gateway.service.learning.drift import Band, Measure
from gateway.service.learning.reports import Drift, DriftReport
from gateway.settings import Settings
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import Database
from gateway.store.rollouts import SqlRolloutStore

BARS = "▁▂▃▄▅▆▇█"
_STYLE: Mapping[Band, str] = {
    "stable": "[green]stable[/green]", "moderate": "[yellow]moderate[/yellow]", "large": "[red]large[/red]"
}
_EXPECTED, _FOUND = attrgetter("expected"), attrgetter("found")


class DriftUnknown(Exception):
    """There is nothing to report on; str() says why."""


class InService:
    """The packages that a gateway with these settings and this database would serve."""

    def __init__(self, settings: Settings, database: Database) -> None:
        chosen = {deployment.model: deployment.active for deployment in SqlRolloutStore(database).deployments()}
        installed = ModelStore(settings.data_dir / "models")
        folders = {folder.name: folder for folder in package_folders(settings.models_dirs)}
        for model, version in chosen.items():
            if version:
                try:
                    folders[model] = installed.folder(model, version)
                except PackageError as error:
                    raise DriftUnknown(str(error)) from error
        self._models = Catalogue(folders.values(), VARIANTS["litert"]).models()

    def models(self) -> Sequence[ModelInfo]:
        """As Node.models."""
        return self._models


def reports(settings: Settings, database: Database, *, model: str, tenant: str, last: int) -> list[DriftReport]:
    """Of one model, or of all that have training statistics where `model` is empty. Raises DriftUnknown."""
    drift = Drift(SqlAnalysisStore(database), InService(settings, database))
    caller = Caller("", tenant, frozenset({READ}))

    async def run() -> list[DriftReport]:
        return [await drift.report(caller, name, last=last) for name in ([model] if model else drift.models())]

    try:
        return asyncio.run(run())
    except ServiceError as error:
        raise DriftUnknown(str(error)) from error


def drift_view(report: DriftReport) -> RenderableType:
    """A row a measure, with bars of its bins; a choice's shares in per cent."""
    head = f"[bold]{escape(report.model)}[/bold] {escape(report.version)}, {escape(report.tenant)}: {_told(report)}"
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("measure", no_wrap=True)
    table.add_column("drift", no_wrap=True)
    for column in ("PSI", "by chance", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("in training")
    table.add_column("now")
    for measure in report.measures:
        table.add_row(measure.kind, escape(measure.name), _verdict(measure), *_figures(measure), *_shown(measure))
    return Group(head, table, "")


def statistics_to_json(found: Mapping[Path, Statistics]) -> dict[str, Any]:
    """Training statistics by model."""
    return {folder.name: msgspec.to_builtins(statistics) for folder, statistics in found.items()}


def statistics_table(found: Mapping[Path, Statistics]) -> Table:
    """A row a measure: where its bins end, and the shares of choices."""
    table = Table()
    for column in ("model", "measure", "cases", "bins end at, or shares"):
        table.add_column(column)
    for folder, statistics in found.items():
        table.add_row(f"{folder.name}, {statistics.variant}", "", "", "")
        measures: dict[str, Histogram | Choices] = {**statistics.inputs, **statistics.choices, **statistics.outputs}
        for name, measure in measures.items():
            told = _percent(measure.shares) if isinstance(measure, Choices) else "  ".join(map("{:g}".format, measure.edges))
            table.add_row("", escape(name), str(measure.cases), escape(told))
    return table


def _told(report: DriftReport) -> str:
    if report.oldest is None or report.newest is None:
        return "no answer yet"
    others = f", {report.passed_over} passed over" if report.passed_over else ""
    return f"{report.answers} answers{others}, {report.oldest:%Y-%m-%d %H:%M} to {report.newest:%Y-%m-%d %H:%M} UTC"


def _verdict(measure: Measure) -> str:
    if measure.band == "too_few":
        return f"[dim]{measure.cases} of {measure.needed} needed[/dim]"
    return _STYLE[measure.band]


def _figures(measure: Measure) -> tuple[str, str, str]:
    if measure.psi is None or measure.chance is None or measure.p is None:
        return "", "", ""
    return f"{measure.psi:.2f}", f"{measure.chance:.2f}", "<0.0001" if measure.p < 0.0001 else f"{measure.p:.4f}"


def _shown(measure: Measure) -> tuple[str, str]:
    if measure.is_choice:
        expected, found = ({row.name: share(row) for row in measure.bins} for share in (_EXPECTED, _FOUND))
        return escape(_percent(expected)), escape(_percent(found)) if measure.cases else ""
    top = max(max(row.expected, row.found) for row in measure.bins)
    expected_bars, found_bars = (_bars([share(row) / top for row in measure.bins]) for share in (_EXPECTED, _FOUND))
    return expected_bars, found_bars if measure.cases else ""


def _percent(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _bars(heights: Sequence[float]) -> str:
    """A bar a bin; heights from 0 to 1. A bin that holds nothing is empty."""
    return "".join(BARS[min(len(BARS) - 1, int(height * len(BARS)))] if height else " " for height in heights)
