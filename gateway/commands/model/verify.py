"""`hedgerow model verify`: whether a package is what it says, and signed by whom."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, read_settings, say
from gateway.commands.options import AsJson


def verify(
    package: Annotated[Path, typer.Argument(help="The package's folder.", show_default=False)],
    key: Annotated[list[Path] | None, typer.Option(help="A public key (PEM) that may have signed it; any number of times.")] = None,
    certificate_chain: Annotated[list[Path] | None, typer.Option(help="Certificates (PEM) of an authority whose certificates may have signed it; any number of times.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a package as a device would, and its signature where keys are given, or set as HEDGEROW_MODEL_SIGNERS.

    Exits with 1 when anything is wrong, and says what. docs/signing.md.
    """
    import msgspec

    from edge_runtime.package_check import check_package
    from edge_runtime.signatures import SignersError
    from gateway.console.model_verify import report_view

    if not package.is_dir():
        fail(f"there is no folder {package}")
    signers = [*(key or []), *(certificate_chain or [])] or read_settings().model_signers
    try:
        report = check_package(package, signers, say)
    except SignersError as error:
        fail(str(error))
    if as_json:
        print(json.dumps({**msgspec.to_builtins(report), "good": report.good}, indent=2))
    else:
        Console().print(report_view(report), soft_wrap=True)
    if not report.good:
        raise typer.Exit(1)
