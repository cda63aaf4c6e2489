"""The command `hedgerow`. Each command imports what it needs when it runs, so that --help is quick."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from gateway.settings import ClientSettings, Settings

if TYPE_CHECKING:
    from gateway.service.keys import KeyService

app = typer.Typer(
    name="hedgerow", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A vision inference gateway for the clinic and the field. Research use only: no answer is a diagnosis.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
app.add_typer(keys_app, name="keys")

Files = Annotated[list[Path], typer.Argument(help="Files, or folders to search for pictures.", show_default=False)]
Domain = Annotated[str, typer.Option("--domain", "-d", help="The domain, such as pathology or crop_weed.")]
Data = Annotated[Path, typer.Option("--data", help="Folder of the data sets; docs/training.md says what is in it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def serve() -> None:
    """Run the gateway: REST and gRPC, with a node for this machine's CPU inside.

    Settings come from the environment as HEDGEROW_<NAME>; docs/settings.md lists them. The first start makes an API key
    and prints it once.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # workers are started with exec: gRPC need not follow a fork
    import uvloop

    from gateway import logs
    from gateway.app import StartError
    from gateway.app import serve as run
    from gateway.console.welcome import welcome

    settings = _settings()
    logs.configure(settings.log_format, settings.log_level)
    beside = Path(sys.executable).with_name("buf")
    buf = str(beside.relative_to(Path.cwd())) if beside.is_file() and beside.is_relative_to(Path.cwd()) else "buf"
    try:
        uvloop.run(run(settings, lambda started: print(welcome(started, Path("samples"), buf), flush=True)))
    except StartError as error:
        _fail(str(error))


@app.command()
def analyze(
    files: Files,
    domain: Domain,
    exam: Annotated[str, typer.Option(help="pathology: the exam; may be left out for DICOM files that say it.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, any number of times.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a JSON file and an overlay picture of each file.")] = None,
    url: Annotated[str, typer.Option(help="A running gateway, such as http://127.0.0.1:8080 (or HEDGEROW_URL). Without one, the models run in this program.")] = "",
    key: Annotated[str, typer.Option(help="API key for the gateway; better given as HEDGEROW_KEY.")] = "",
    as_json: AsJson = False,
) -> None:
    """Analyse files and folders, through a running gateway or without one.

    Exits with 1 when any file failed, and says which.
    """
    from gateway.app import node_config
    from gateway.console.analyze import analyse_all, open_analyser, table
    from gateway.console.files import collect

    client = ClientSettings()
    parameters = _parameters([f"exam={exam}", *(parameter or [])] if exam else parameter or [])
    console = Console(stderr=True)
    try:
        items = list(collect(files))
    except FileNotFoundError as error:
        _fail(f"there is no file or folder {error}")
    if not items:
        _fail("no pictures found")

    async def run() -> list[Any]:
        async with open_analyser(url or client.url, key or client.key, node_config(_settings())) as analyser:
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


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the installed model packages, with what was measured and why any is refused."""
    from gateway.console.catalogue import installed, models_table

    found, _ = installed(_settings())
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(models_table(found))
    if any(model["state"] == "refused" for model in found):
        raise typer.Exit(1)


@app.command()
def domains(as_json: AsJson = False) -> None:
    """List the domains, with what callers may say to each."""
    from gateway.console.catalogue import domains_table, installed

    _, found = installed(_settings())
    print(json.dumps(found, indent=2)) if as_json else Console().print(domains_table(found))


@app.command()
def train(
    domain: Annotated[str, typer.Argument(help="pathology or crop_weed")],
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
        _fail("training needs TensorFlow, which is not installed here: `make train DOMAIN=... DATA=...` sets it up")
    from domains.errors import UnknownDomain
    from edge_runtime.toolchain.train import train as run

    try:
        run(domain, data, out=out, seed=seed, only=only or None, epochs=epochs)
    except (UnknownDomain, ValueError) as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(_lacking(error))


@app.command()
def evaluate(
    domain: Annotated[str, typer.Argument(help="pathology or crop_weed")],
    data: Data,
    variant: Annotated[str, typer.Option(help="int8 or float32.")] = "int8",
    models_dir: Annotated[Path | None, typer.Option("--models", help="Measure the packages in this folder instead of the installed ones.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a domain's models on held-out data, over the flow that the gateway runs."""
    from domains.errors import UnknownDomain
    from edge_runtime.errors import PackageError
    from edge_runtime.folders import find_packages
    from edge_runtime.node import package_folders
    from edge_runtime.toolchain.evaluate import evaluate as run
    from gateway.console.catalogue import figures_table

    packages = list(find_packages([models_dir])) if models_dir else package_folders(_settings().models_dirs)
    try:
        report = run(domain, data, packages=packages, variant=variant, say=lambda line: print(line, file=sys.stderr))
    except (UnknownDomain, PackageError) as error:
        _fail(str(error))
    except FileNotFoundError as error:
        _fail(_lacking(error))
    print(json.dumps(report, indent=2)) if as_json else Console().print(figures_table(report))


@keys_app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Whose data the key sees.")] = "default",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="read, admin, analyze:DOMAIN or analyze:*; any number of times.")] = None,
) -> None:
    """Make a key. It is shown once and stored only as a hash."""
    from gateway.service.errors import ServiceError

    try:
        text, _ = _open_keys().create(tenant=tenant, name=name, scopes=scope or ["read", "analyze:*"])
    except ServiceError as error:
        _fail(str(error))
    print(text)


@keys_app.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    shown = Table()
    for column in ("id", "tenant", "name", "scopes", "created", "revoked"):
        shown.add_column(column)
    for key in _open_keys().all():
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        shown.add_row(key.id, key.tenant, key.name, " ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    Console().print(shown)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")]) -> None:
    """End a key. A running gateway refuses it within 2 seconds."""
    if not _open_keys().revoke(key_id):
        _fail("there is no active key of that id")
    print(f"key {key_id} is revoked")


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for item in error.errors():
            print(f"hedgerow: HEDGEROW_{str(item['loc'][0]).upper()}: {item['msg']}", file=sys.stderr)
        raise typer.Exit(2) from error


def _open_keys() -> "KeyService":
    from gateway.app import StartError, open_keys

    try:
        return open_keys(_settings())
    except StartError as error:
        _fail(str(error))


def _lacking(error: FileNotFoundError) -> str:
    missing = Path(*Path(str(error.filename or error)).parts[-2:])
    return f"the data folder lacks {missing}; docs/training.md says what belongs in it"


def _parameters(pairs: list[str]) -> dict[str, Any]:
    from gateway.service.errors import ServiceError
    from gateway.service.parameters import from_query

    split = [pair.partition("=") for pair in pairs]
    if any(not equals for _, equals, _ in split):
        _fail("a parameter is given as NAME=VALUE")
    try:
        return from_query((name, value) for name, _, value in split)
    except ServiceError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"hedgerow: {message}", file=sys.stderr)
    raise typer.Exit(1)
