"""`hedgerow model parity`: two variants or devices on the same inputs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, read_settings, say
from gateway.commands.options import AsJson

Which = "a .tflite file or PACKAGE:VARIANT, with @DEVICE behind it where it isn't the CPU: @edgetpu, @simulated:usb3."


def parity(
    a: Annotated[str, typer.Argument(help=f"The first: {Which}", show_default=False)],
    b: Annotated[str, typer.Argument(help="The second, in the same form.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="An .npz data set, a folder of pictures, or for a package the data folder of its domain.", show_default=False)],
    limit: Annotated[int, typer.Option(min=0, help="At most so many inputs, evenly spaced; 0 is all.")] = 200,
    mean: Annotated[float | None, typer.Option(help="Of the pixels, value = (pixel - mean) / std, for files that don't say it.", show_default=False)] = None,
    std: Annotated[float | None, typer.Option(help="See --mean.", show_default=False)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for parity.json and parity.png.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show where two variants or devices part, decision by decision and tensor by tensor, and why."""
    if (mean is None) != (std is None) or (std is not None and std <= 0):
        fail("--mean and --std are given together, and --std is above 0")
    from domains.errors import DomainError
    from edge_runtime.embedded import package_folders
    from edge_runtime.errors import EdgeError
    from edge_runtime.toolchain.parity.compare import Wish, compare
    from edge_runtime.toolchain.parity.sides import parse_side
    from gateway.console.model_parity import as_text, parity_view, write

    normalisation = None if mean is None or std is None else (mean, std)
    folders = package_folders(read_settings().models_dirs)
    try:
        found = compare(parse_side(a, folders), parse_side(b, folders), Wish(data, limit, normalisation), say)
        written = write(found, out) if out else []
    except (ValueError, DomainError, EdgeError, OSError) as error:
        fail(str(error))
    if as_json:
        print(as_text(found))
    else:
        Console().print(parity_view(found))
    for path in written:
        say(f"written to {path}")
