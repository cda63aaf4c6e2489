"""`hedgerow analyze`: files and folders in, answers and pictures out."""

import asyncio
import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.commands.common import fail, read_parameters, read_settings
from gateway.commands.options import AsJson, Domain
from gateway.settings import ClientSettings

Files = Annotated[list[Path], typer.Argument(help="Files, or folders to search for pictures and clips.", show_default=False)]


class Consent(enum.StrEnum):
    """What may happen with a file beyond its answer."""

    CLOUD = "cloud"
    LEARNING = "learning"


def analyze(
    files: Files,
    domain: Domain,
    exam: Annotated[str, typer.Option(help="pathology: the exam; may be left out for DICOM files that say it.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, any number of times.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a JSON file and an overlay picture of each file.")] = None,
    url: Annotated[str, typer.Option(help="A running gateway, such as http://127.0.0.1:8080 (or HEDGEROW_URL). Without one, the models run in this program.")] = "",
    key: Annotated[str, typer.Option(help="API key for the gateway; better given as HEDGEROW_KEY.")] = "",
    consent: Annotated[list[Consent] | None, typer.Option(help="What may happen with the files, any number of times. cloud: they may leave for the cloud, de-identified. learning: they may be kept to learn from. Both where the gateway's rules let it too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Analyse files and folders, through a running gateway or without one.

    Exits with 1 when any file failed, and says which.
    """
    from gateway.app import node_config
    from gateway.console.analyze import analyse_all, open_analyser, table
    from gateway.console.files import collect

    client = ClientSettings()
    if consent and not (url or client.url):
        fail("--consent goes to a gateway, given with --url or as HEDGEROW_URL; without one nothing leaves or is kept")
    parameters = read_parameters([f"exam={exam}", *(parameter or [])] if exam else parameter or [])
    console, settings = Console(stderr=True), read_settings()
    try:
        items = list(collect(files))
    except FileNotFoundError as error:
        fail(f"there is no file or folder {error}")
    if not items:
        fail("no pictures or clips found")

    async def run() -> list[Any]:
        async with open_analyser(
            url or client.url, key or client.key, node_config(settings), clip_frames=settings.clip_frames, consents=consent or ()
        ) as analyser:
            return await analyse_all(analyser, items, domain, parameters, out, console)

    outcomes = asyncio.run(run())
    failed = [outcome for outcome in outcomes if outcome.document is None]
    if as_json:
        print(json.dumps([{"file": str(o.item.path), "analysis": o.document, "error": o.error or None} for o in outcomes], indent=2))
    else:
        Console().print(table(outcomes))
    if failed:
        console.print(f"{len(failed)} of {len(outcomes)} failed:")
        for outcome in failed:
            console.print(f"  {outcome.item.path}: {outcome.error}", markup=False, highlight=False)
        raise typer.Exit(1)
