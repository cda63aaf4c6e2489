"""`hedgerow cloud`: the cloud tier."""

import typer

from gateway.commands.common import fail, read_settings

cloud_app = typer.Typer(no_args_is_help=True, help="The cloud tier: run a worker of it.")


@cloud_app.command("worker")
def cloud_worker() -> None:
    """Answer what gateways send to the cloud tier, with the float models, until SIGTERM.

    Settings come from the environment as HEDGEROW_<NAME>, as for the gateways; docs/cloud.md says which count. What runs is
    finished before it ends. A worker that is killed loses nothing.
    """
    from gateway import logs
    from gateway.console.cloud import CloudRefused, work

    settings = read_settings()
    logs.configure(settings.log_format, settings.log_level)
    try:
        status = work(settings)
    except CloudRefused as error:
        fail(str(error))
    raise typer.Exit(status)
