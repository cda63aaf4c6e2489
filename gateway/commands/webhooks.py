"""`hedgerow webhooks`: their secrets, and what became of each."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import configured_database, fail
from gateway.commands.options import AsJson

webhooks_app = typer.Typer(no_args_is_help=True, help="Webhooks: the secret that signs them, and what became of each.")


@webhooks_app.command("secret")
def webhook_secret(
    tenant: Annotated[str, typer.Option(help="Whose webhooks it signs.")] = "default",
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one. The one before signs as well for 24 hours more.")] = False,
) -> None:
    """Print the secret that signs a tenant's webhooks; it is made at first need."""
    from gateway.console.webhooks import WebhooksRefused, remark, secret_of

    try:
        secrets = secret_of(configured_database(), tenant, rotate=rotate)
    except WebhooksRefused as error:
        fail(str(error))
    print(secrets.current)
    if remark(secrets):
        print(remark(secrets), file=sys.stderr)


@webhooks_app.command("log")
def webhook_log(
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="Whose job it is.")] = "default",
    as_json: AsJson = False,
) -> None:
    """Show each delivery of a job's result: attempts, the last answer or error, the next try."""
    from gateway.console.webhooks import WebhooksRefused, deliveries_of, deliveries_table
    from gateway.rest.documents import deliveries_to_json

    try:
        found = deliveries_of(configured_database(), tenant, job)
    except WebhooksRefused as error:
        fail(str(error))
    if as_json:
        print(json.dumps(deliveries_to_json(found), indent=2))
    elif found:
        Console().print(deliveries_table(found))
    else:
        print("nothing is delivered for this job: its request named no callback_url, or it has not ended")
