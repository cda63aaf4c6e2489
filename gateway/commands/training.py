"""`hedgerow train`, `evaluate` and `statistics`: making and measuring the models of a domain."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, lacking, read_settings, say
from gateway.commands.options import AsJson, Data


def train(
    domain: Annotated[str, typer.Argument(help="pathology, crop_weed or house_numbers")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder that the packages are written to.")] = Path("var/models"),
    only: Annotated[str, typer.Option(help="Train this one package of the domain.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 7,
    epochs: Annotated[int | None, typer.Option(help="Fewer or more epochs than the recipe's.")] = None,
) -> None:
    """Train a domain's models and write their packages. Needs TensorFlow: `make train` sets it up.

    Goes on where it was stopped.
    """
    from importlib.util import find_spec

    if find_spec("tensorflow") is None:
        fail("training needs TensorFlow, which is not installed here: `make train DOMAIN=... DATA=...` sets it up")
    from domains.errors import UnknownDomain
    from edge_runtime.toolchain.train import train as run

    try:
        run(domain, data, out=out, seed=seed, only=only or None, epochs=epochs)
    except (UnknownDomain, ValueError) as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(lacking(error))


def evaluate(
    domain: Annotated[str, typer.Argument(help="pathology, crop_weed or house_numbers")],
    data: Data,
    variant: Annotated[str, typer.Option(help="int8, float32, or all that the packages have.")] = "int8",
    models_dir: Annotated[Path | None, typer.Option("--models", help="Measure the packages in this folder instead of the installed ones.")] = None,
    most_of_a_kind: Annotated[int, typer.Option("--foreign", min=1, help="At most so many foreign pictures of each kind.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Measure a domain's models on held-out data, over the flow that the gateway runs."""
    from domains.errors import UnknownDomain
    from edge_runtime.embedded import package_folders
    from edge_runtime.errors import PackageError
    from edge_runtime.folders import find_packages
    from edge_runtime.toolchain.evaluate import evaluate as run
    from gateway.console.catalogue import figures_table

    packages = list(find_packages([models_dir])) if models_dir else package_folders(read_settings().models_dirs)
    try:
        report = run(domain, data, packages=packages, variants=() if variant == "all" else (variant,),
                     most_of_a_kind=most_of_a_kind, say=say)
    except (UnknownDomain, PackageError) as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(lacking(error))
    print(json.dumps(report, indent=2)) if as_json else Console().print(figures_table(report))


def statistics(
    domain: Annotated[str, typer.Argument(help="pathology, crop_weed or house_numbers")],
    data: Data,
    variant: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    models_dir: Annotated[Path | None, typer.Option("--models", help="Measure the packages in this folder instead of the installed ones.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put them into the packages' model.toml, which `hedgerow drift` compares with.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure what a domain's models see and say where they were made, over the flow that the gateway runs."""
    from domains.errors import UnknownDomain
    from edge_runtime.embedded import package_folders
    from edge_runtime.errors import PackageError
    from edge_runtime.folders import find_packages
    from edge_runtime.toolchain.manifest import add_statistics
    from edge_runtime.toolchain.statistics import statistics as run
    from gateway.console.drift import statistics_table, statistics_to_json

    packages = list(find_packages([models_dir])) if models_dir else package_folders(read_settings().models_dirs)
    try:
        found = run(domain, data, packages=packages, variant=variant, say=say)
        for folder, measured in found.items() if write else ():
            add_statistics(folder, measured)
    except (UnknownDomain, PackageError) as error:
        fail(str(error))
    except FileNotFoundError as error:
        fail(lacking(error))
    print(json.dumps(statistics_to_json(found), indent=2)) if as_json else Console().print(statistics_table(found))
