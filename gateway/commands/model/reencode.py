"""`hedgerow model reencode`: a uint8 model in int8."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.common import fail


def reencode_model(
    file: Annotated[Path, typer.Argument(help="A .tflite file that is quantised to uint8, as TensorFlow 1 wrote them.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The file to write; FILE_int8.tflite beside it unless given.", show_default=False)] = None,
) -> None:
    """Write a model quantised to uint8 anew in int8: the same network, which CPUs with int8 dot products run faster.

    Its inputs and outputs stay as they are. docs/reencode.md says which weights don't stay the very same.
    """
    from edge_runtime.folders import write_whole
    from edge_runtime.toolchain.reencode import reencode

    target = out or file.with_name(f"{file.stem}_int8.tflite")
    try:
        made = reencode(file)
        write_whole(target, made.content)
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{target} can't be written: {error.strerror}")
    print(f"{target}: {len(made.content):,} bytes, inputs and outputs as before. Of {made.channels:,} channels of weights {made.rounded:,} reach "
          f"too far from zero for int8 and were rounded anew; all others are the very same.\n"
          f"Compare: hedgerow model parity {file} {target} --data PICTURES")
