"""The command `hedgerow`. Standard library only: `hedgerow node` runs where the gateway's libraries aren't installed."""

import sys
from collections.abc import Callable

OWN = ("domains", "edge_runtime", "gateway", "protos")


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] == ["node"]:
        _found(_node, "edge")(sys.argv[2:])
    elif sys.argv[1:] == ["serve"]:
        _found(_serve, "gateway")()
    else:
        _found(_gateway, "gateway")()


def _node() -> Callable[..., None]:
    from edge_runtime.server.command import main as node

    return node


def _serve() -> Callable[..., None]:
    # Not by typer, which with rich would cost the gateway 8 MB for as long as it runs.
    from gateway.commands.serve import serve

    return serve


def _gateway() -> Callable[..., None]:
    from gateway.cli import main as gateway

    return gateway


def _found(load: Callable[[], Callable[..., None]], extra: str) -> Callable[..., None]:
    """What `load` gives; one line and the end where its libraries aren't there."""
    try:
        return load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN:
            raise
        more = "; what is here runs `hedgerow node`" if extra == "gateway" else ""
        sys.exit(f"hedgerow: {missing} is not installed: pip install 'hedgerow[{extra}]' brings it{more}")
