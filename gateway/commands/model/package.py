"""`hedgerow model package`: variants of a model to a package, through the release gate."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, lacking, say
from gateway.commands.options import AsJson


def package(
    folder: Annotated[Path, typer.Argument(help="Folder of variants that `hedgerow model optimize` wrote; with --refresh, a package.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="The recipe that knows labels, data and figures, as DOMAIN/MODEL.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the data sets; docs/training.md says what is in it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that the package is written to.")] = Path("var/models"),
    float_variant: Annotated[str, typer.Option("--float", help="The variant that becomes the package's float32 file.")] = "float32",
    int8_variant: Annotated[str, typer.Option("--int8", help="The variant that becomes its int8 file, such as qat_int8.")] = "int8",
    refresh: Annotated[bool, typer.Option("--refresh", help="Put TFLite Metadata into an existing package, under its next patch version.")] = False,
    as_json: AsJson = False,
) -> None:
    """Calibrate, measure and package a model. Refused where int8 loses more than the release gate allows.

    Goes on where it was stopped.
    """
    from domains.errors import UnknownDomain
    from edge_runtime.errors import PackageError

    try:
        if refresh:
            _refresh(folder)
        else:
            _package(folder, recipe, data, out, float_variant, int8_variant, as_json)
    except (UnknownDomain, PackageError, ValueError) as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(lacking(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _refresh(folder: Path) -> None:
    from edge_runtime.toolchain.refresh import refresh

    refresh(folder.resolve(), say=say)


def _package(folder: Path, recipe: str, data: Path | None, out: Path, float_variant: str, int8_variant: str, as_json: bool) -> None:
    from edge_runtime.models import load_package
    from edge_runtime.toolchain.package import package_variants
    from edge_runtime.toolchain.recipes import recipes_of
    from edge_runtime.toolchain.release_gate import losses_in
    from gateway.console.model_package import package_table, package_to_json

    domain, _, model = recipe.partition("/")
    if not model or data is None:
        fail("a package needs --recipe DOMAIN/MODEL and --data FOLDER")
    placed = package_variants(folder, domain, model, data, out=out, float_variant=float_variant, int8_variant=int8_variant, say=say)
    manifest = load_package(placed).manifest
    losses = losses_in(recipes_of(domain, model)[0], manifest)
    if as_json:
        print(json.dumps(package_to_json(placed, manifest, losses), indent=2))
    else:
        Console().print(package_table(placed, manifest, losses))
