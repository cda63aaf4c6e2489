"""`hedgerow node` and `hedgerow simulate`: the program's devices."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.common import fail, read_settings


def node(context: typer.Context) -> None:
    """Run this machine's devices for gateways elsewhere: `hedgerow node serve --help`."""
    # For --help and for whoever starts this file: gateway/entry.py goes there without the gateway's libraries.
    from edge_runtime.server.command import main as run

    run(context.args)


def simulate(
    device: Annotated[str, typer.Argument(help="A simulated device, such as simulated:usb3.")],
    fault: Annotated[str, typer.Argument(help="absent, unplugged, hung, slow, wrong, crash or hot; none ends it.")],
    for_s: Annotated[float | None, typer.Option("--for", help="Seconds after which it is over by itself.")] = None,
    factor: Annotated[float, typer.Option(help="slow: how many times as long each run takes.")] = 10.0,
    data: Annotated[Path | None, typer.Option("--data", help="The data folder of the gateway or node that has the device, where it isn't HEDGEROW_DATA_DIR.")] = None,
) -> None:
    """Have a simulated Edge TPU do something wrong, at once and until told otherwise.

    docs/devices.md says what each fault does.
    """
    from edge_runtime.devices import parse_device
    from edge_runtime.simulated_faults import command_fault, faults_file

    try:
        spec = parse_device(device)
        if spec.backend != "simulated":
            fail(f"{device} is not simulated: nothing can be commanded there")
        file = faults_file((data or read_settings().data_dir) / "simulated", spec.name)
        command_fault(file, fault, for_s=for_s, factor=factor)
    except ValueError as error:
        fail(str(error))
    lasts = "" if fault == "none" else f" for {for_s:g} s" if for_s is not None else f" until `hedgerow simulate {device} none`"
    print(f"{device}: {fault}{lasts}")
