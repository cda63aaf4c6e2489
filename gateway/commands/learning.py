"""`hedgerow export-hard-cases` and `hedgerow drift`: what the answers given so far teach."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import configured_database, fail, read_settings, say
from gateway.commands.options import AsJson


def export_hard_cases(
    out: Annotated[Path, typer.Option("--out", help="The folder; one of an earlier export is gone on with.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="coco or dicom.")] = "coco",
    tenant: Annotated[str, typer.Option(help="Of this tenant alone.")] = "",
    domain: Annotated[str, typer.Option(help="Of this domain alone.")] = "",
    reason: Annotated[str, typer.Option(help="unsure, abstained, foreign or disagreement alone.")] = "",
    since: Annotated[str, typer.Option(help="Found since then: a date such as 2026-01-31, or a time.")] = "",
    as_json: AsJson = False,
) -> None:
    """Export pictures that were set aside, de-identified, as a data set to be labelled.

    What can't be de-identified is held back and listed with the reason. Running it again adds what is new.
    """
    from gateway.console.export_cases import chosen_cases, export, export_view
    from gateway.console.export_form import ExportRefused

    try:
        chosen = chosen_cases(tenant=tenant, domain=domain, reason=reason, since=since)
        done = export(read_settings(), configured_database(), out, form, chosen, say)
    except ExportRefused as error:
        fail(str(error))
    print(json.dumps(done.to_json(), indent=2)) if as_json else Console().print(export_view(done))


def drift(
    model: Annotated[str, typer.Argument(help="The model's name; all that have training statistics where it is left out.", show_default=False)] = "",
    last: Annotated[int, typer.Option(help="Of how many answers, the newest.")] = 500,
    tenant: Annotated[str, typer.Option(help="Whose answers.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Compare what models see and say now with what they saw and said in training.

    Reads the stored answers; docs/learning.md says what the bands mean. Exits with 1 where a model drifts largely.
    """
    from gateway.console.drift import DriftUnknown, drift_view, reports
    from gateway.rest.drift import report_to_json

    try:
        found = reports(read_settings(), configured_database(), model=model, tenant=tenant, last=last)
    except DriftUnknown as error:
        fail(str(error))
    if as_json:
        print(json.dumps([report_to_json(report) for report in found], indent=2))
    else:
        for report in found:
            Console().print(drift_view(report))
    if any(report.band == "large" for report in found):
        raise typer.Exit(1)
