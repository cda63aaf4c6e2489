"""`hedgerow keys`: API keys."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.commands.common import configured_keys, fail

keys_app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")


@keys_app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="Whose data the key sees.")] = "default",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="read, admin, nodes, analyze:DOMAIN or analyze:*; any number of times.")] = None,
) -> None:
    """Make a key. It is shown once and stored only as a hash."""
    from gateway.service.errors import ServiceError

    try:
        text, _ = configured_keys().create(tenant=tenant, name=name, scopes=scope or ["read", "analyze:*"])
    except ServiceError as error:
        fail(str(error))
    print(text)


@keys_app.command("list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    shown = Table()
    for column in ("id", "tenant", "name", "scopes", "created", "revoked"):
        shown.add_column(column)
    for key in configured_keys().all():
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        shown.add_row(key.id, key.tenant, key.name, " ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d %H:%M}", revoked)
    Console().print(shown)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")]) -> None:
    """End a key. A running gateway refuses it within 2 seconds."""
    if not configured_keys().revoke(key_id):
        fail("there is no active key of that id")
    print(f"key {key_id} is revoked")
