"""The command `hedgerow`: which commands there are. Each imports what it needs when it runs, so that --help is quick."""

import typer

from gateway.commands import analyze, devices, learning, models, nodes, serve, stream, training
from gateway.commands.audit import audit_app
from gateway.commands.cloud import cloud_app
from gateway.commands.keys import keys_app
from gateway.commands.model import app as model_app
from gateway.commands.webhooks import webhooks_app

app = typer.Typer(
    name="hedgerow", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A vision inference gateway for the clinic and the field. Research use only: no answer is a diagnosis.",
)
for command in (
    serve.serve, analyze.analyze, stream.stream, nodes.nodes, devices.simulate, models.domains, nodes.plan, training.train,
    training.evaluate, training.statistics, learning.export_hard_cases, learning.drift,
):
    app.command()(command)
# For --help and for whoever starts this file: gateway/entry.py goes there without the gateway's libraries.
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})(devices.node)
app.add_typer(keys_app, name="keys")
app.add_typer(models.models_app, name="models")
app.add_typer(model_app, name="model")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(audit_app, name="audit")
app.add_typer(cloud_app, name="cloud")


def main() -> None:
    """Entry point of the console script."""
    app()
