"""`hedgerow model inspect`: what is in a model that was compiled for the Edge TPU."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail
from gateway.commands.options import AsJson


def inspect_model(
    file: Annotated[Path, typer.Argument(help="A compiled model (*_edgetpu.tflite), or a package that holds one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Open a compiled model: chip, oldest runtime, cached and streamed parameters, inputs and outputs, operators left on the CPU.

    Nothing of it is run, and no TPU is needed. docs/compile.md.
    """
    from edge_runtime.errors import PackageError
    from edge_runtime.toolchain.edgetpu.compiled import compiled_of, read_compiled
    from gateway.console.model_inspect import compiled_to_json, compiled_view

    try:
        compiled = read_compiled(compiled_of(file) if file.is_dir() else file)
    except (PackageError, ValueError) as error:
        fail(str(error))
    if as_json:
        print(json.dumps(compiled_to_json(compiled), indent=2))
    else:
        Console().print(compiled_view(compiled), soft_wrap=True)
