"""`hedgerow model report`: every variant of a model beside float32, in one table."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, lacking, say
from gateway.commands.options import AsJson


def report(
    folder: Annotated[Path, typer.Argument(help="Variants that `hedgerow model optimize` wrote, or a model package.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="The data set's .npz; for a package the folder of the data sets.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for the table, the JSON and the plots: var/reports/NAME unless given.")] = None,
    variants: Annotated[str, typer.Option(help="Only these beside float32, with commas between them.")] = "",
    runs: Annotated[int, typer.Option(help="Timed runs of each variant.")] = 100,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure all again, taking nothing from an earlier report.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure size, accuracy, latency and memory of a model's variants, and what an Edge TPU would do with them.

    Goes on where it was stopped.
    """
    from domains.errors import UnknownDomain
    from edge_runtime.errors import PackageError
    from edge_runtime.toolchain.report.make import JSON_FILE, Wish, make
    from gateway.console.model_report import report_view

    wanted = [name.strip() for name in variants.split(",") if name.strip()]
    place = out or Path("var", "reports", folder.resolve().name)
    try:
        made = make(folder, data, place, Wish(wanted, runs, fresh), say)
    except (UnknownDomain, PackageError, ValueError) as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(lacking(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if as_json:
        sys.stdout.write((place / JSON_FILE).read_text(encoding="utf-8"))
    else:
        console = Console()
        console.print(report_view(made, console.width))
