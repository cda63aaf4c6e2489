"""`hedgerow models` and `hedgerow domains`: what is installed, and versions on a running gateway."""

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, read_settings
from gateway.commands.options import AsJson, GatewayUrl
from gateway.settings import ClientSettings

if TYPE_CHECKING:
    from gateway.console.catalogue import Documents
    from gateway.console.models import ModelsClient

models_app = typer.Typer(help="Model packages: list them; install, activate and roll back versions on a running gateway.")

Model = Annotated[str, typer.Argument(help="The model's name.", show_default=False)]
AdminKey = Annotated[str, typer.Option("--key", help="API key with the scope admin; better given as HEDGEROW_KEY.")]


class ActivationMode(enum.StrEnum):
    """How a version is put into service."""

    FULL = "full"
    SHADOW = "shadow"
    CANARY = "canary"


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """Without a command: list the packages that come with this program."""
    if context.invoked_subcommand is None:
        list_models(as_json)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the model packages that come with this program, with why any is refused."""
    from gateway.console.catalogue import models_table

    found, _ = _installed()
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(models_table(found))
    if any(model["state"] == "refused" for model in found):
        raise typer.Exit(1)


@models_app.command("install")
def install_model(
    package: Annotated[Path, typer.Argument(help="The package's folder, or a ZIP of it.", show_default=False)],
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Send a package to every node of a running gateway. Nothing is served by it until it is activated."""
    from gateway.console.models import ModelsRefused, archive_of

    asked = _models_client(url, key)
    try:
        installed = asked.install(archive_of(package))
    except ModelsRefused as error:
        fail(str(error))
    name, version = installed["model"], installed["version"]
    print(f"{name} {version} is installed. Next: `hedgerow models activate {name} {version}`, with --mode shadow to try it first.")


@models_app.command("activate")
def activate_model(
    model: Model,
    version: Annotated[str, typer.Argument(help="An installed version, or the one that came with the program.", show_default=False)],
    mode: Annotated[ActivationMode, typer.Option(help="full: it answers all. shadow: it runs beside and answers nobody. canary: it answers a share.")] = ActivationMode.FULL,
    share: Annotated[float | None, typer.Option(help="canary: which share of the callers it answers; 0.05 unless given.")] = None,
    allowed_disagreement: Annotated[float | None, typer.Option(help="shadow and canary: it is taken out when it surely disagrees in more than this share; 0.1 unless given.")] = None,
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Put a version into service, or on trial beside the one in service, while requests go on."""
    from gateway.console.models import ModelsRefused, status_view

    asked = _models_client(url, key)
    try:
        status = asked.activate(model, version, mode=mode.value, share=share, allowed_disagreement=allowed_disagreement)
    except ModelsRefused as error:
        fail(str(error))
    Console().print(status_view(status))


@models_app.command("rollback")
def roll_back_model(model: Model, url: GatewayUrl = "", key: AdminKey = "") -> None:
    """End the trial where one is on, else put the version before into service again."""
    from gateway.console.models import ModelsRefused, status_view

    asked = _models_client(url, key)
    try:
        status = asked.rollback(model)
    except ModelsRefused as error:
        fail(str(error))
    Console().print(status_view(status))


@models_app.command("status")
def model_status(
    model: Annotated[str, typer.Argument(help="The model; all that are served where it is left out.")] = "",
    disagreements: Annotated[int, typer.Option(min=0, max=200, help="List that many inputs that two versions answered differently.")] = 0,
    as_json: AsJson = False,
    url: GatewayUrl = "",
    key: AdminKey = "",
) -> None:
    """Show the versions of a running gateway's models, trials with their counters, and the last rollback."""
    from gateway.console.models import ModelsRefused, disagreements_table, status_view

    asked = _models_client(url, key)
    try:
        found = [asked.status(name) for name in ([model] if model else asked.names())]
        listed = {row["model"]: asked.disagreements(row["model"], disagreements) for row in found} if disagreements else {}
    except ModelsRefused as error:
        fail(str(error))
    if as_json:
        print(json.dumps([{**row, "disagreements": listed.get(row["model"], [])} for row in found], indent=2))
        return
    for row in found:
        Console().print(status_view(row))
        if listed.get(row["model"]):
            Console().print(disagreements_table(listed[row["model"]]))


def domains(as_json: AsJson = False) -> None:
    """List the domains, with what callers may say to each."""
    from gateway.console.catalogue import domains_table

    _, found = _installed()
    print(json.dumps(found, indent=2)) if as_json else Console().print(domains_table(found))


def _installed() -> "tuple[Documents, Documents]":
    from edge_runtime.signatures import SignersError
    from gateway.console.catalogue import installed

    try:
        return installed(read_settings())
    except SignersError as error:
        fail(f"HEDGEROW_MODEL_SIGNERS: {error}")


def _models_client(url: str, key: str) -> "ModelsClient":
    from gateway.console.models import ModelsClient

    client = ClientSettings()
    if not (key or client.key):
        fail("give an API key as HEDGEROW_KEY; `hedgerow keys create --scope admin` makes one")
    return ModelsClient(url or client.url or "http://127.0.0.1:8080", key or client.key)
