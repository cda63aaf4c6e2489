"""`hedgerow serve`: the gateway itself. gateway/entry.py starts it without typer and rich."""

import os
import sys
from pathlib import Path

from gateway.commands.common import called, fail, read_settings


def serve() -> None:
    """Run the gateway: REST and gRPC, with this machine's devices and the nodes that it is given.

    Settings come from the environment as HEDGEROW_<NAME>; docs/settings.md lists them. The first start makes an API key
    and prints it once.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # workers are started with exec: gRPC need not follow a fork
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write into the log in a form of its own
    for unneeded in ("pygments", "rich"):  # structlog and httpx load them where they are installed, for tracebacks and a command: 7 MB
        sys.modules.setdefault(unneeded, None)  # type: ignore[arg-type]  # as Python itself marks a module that can't be imported
    import uvloop

    from gateway import logs
    from gateway.app import StartError
    from gateway.app import serve as run
    from gateway.console.welcome import welcome

    settings = read_settings()
    logs.configure(settings.log_format, settings.log_level)
    try:
        uvloop.run(run(settings, lambda started: print(welcome(started, Path("samples"), called("buf"), called("hedgerow")), flush=True)))
    except StartError as error:
        fail(str(error))
