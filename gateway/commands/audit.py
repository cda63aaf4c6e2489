"""`hedgerow audit`: the log of what left for the cloud."""

import json
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import configured_database
from gateway.commands.options import AsJson

audit_app = typer.Typer(no_args_is_help=True, help="The log of what left for the cloud: check that it is whole, list it.")


@audit_app.command("verify")
def verify_audit(
    anchor: Annotated[str, typer.Option(help="A last hash that an earlier run printed: checks that it is still in the log.")] = "",
    as_json: AsJson = False,
) -> None:
    """Walk the audit log and name the first entry that isn't as it was written.

    Entries cut off the end show only against an anchor: note the last hash somewhere else from time to time. Exits with 1
    when the log isn't whole.
    """
    from gateway.console.audit import told, verdict_to_json, verified

    verdict = verified(configured_database(), anchor)
    print(json.dumps(verdict_to_json(verdict), indent=2) if as_json else told(verdict))
    if not verdict.is_whole:
        raise typer.Exit(1)


@audit_app.command("list")
def list_audit(
    last: Annotated[int, typer.Option(min=1, help="How many entries, newest first.")] = 50,
    tenant: Annotated[str, typer.Option(help="Of this tenant alone.")] = "",
    analysis: Annotated[str, typer.Option(help="Of this analysis alone.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what left: when, why, where to and in which form."""
    from gateway.console.audit import departures, entries_table, entry_to_json

    found = departures(configured_database(), last=last, tenant=tenant, analysis_id=analysis)
    if as_json:
        print(json.dumps([entry_to_json(entry) for entry in found], indent=2))
    else:
        Console().print(entries_table(found))
