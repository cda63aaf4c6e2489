"""`hedgerow model optimize`: from one trained Keras model to every variant."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, say


def optimize(
    model: Annotated[Path, typer.Argument(help="The trained model: a .keras or .h5 file.", show_default=False)],
    data: Annotated[Path, typer.Option(help="An .npz of labelled pictures; docs/optimize.md says what is in it.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder that the variants are written to.", show_default=False)],
    only: Annotated[list[str] | None, typer.Option(help="Make this variant and no other; may be given again.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of each fine-tuning; 0 follows the rule in docs/optimize.md.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 7,
    mean: Annotated[float | None, typer.Option(help="(pixel - mean) / std is what the model was trained on.", show_default=False)] = None,
    std: Annotated[float | None, typer.Option(help="See --mean.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="The model's name; its file's unless given.")] = "",
    restart: Annotated[bool, typer.Option("--restart", help="Throw away what the folder holds of an earlier call.")] = False,
) -> None:
    """Make every smaller variant of a trained Keras classifier: float16, int8, pruned, clustered, and what they give together.

    Needs TensorFlow (the extra [train]). Goes on where it was stopped.
    """
    from importlib.util import find_spec

    from edge_runtime.toolchain.optimize.driver import Request
    from edge_runtime.toolchain.optimize.driver import optimize as run
    from gateway.console.model_optimize import skipped_lines, variants_table

    try:
        request = Request(model, data, out, tuple(only or ()), epochs, seed, mean, std, name)
        lacking = [library for library in ("tensorflow", "tf_keras", "tensorflow_model_optimization") if find_spec(library) is None]
        if lacking:
            fail(f"this needs {', '.join(lacking)}, which is not installed here: `pip install 'hedgerow[train]'` into an "
                 "environment of its own, or `make .venv-train/ready`")
        found = run(request, restart=restart, say=say)
    except ValueError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or out}: {error.strerror}")
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on, what is finished lies in {out}")
        raise typer.Exit(130) from None
    console = Console()
    console.print(variants_table(found))
    for line in skipped_lines(found):
        console.print(line, soft_wrap=True)
    print(f"{len(found.variants)} variants in {out}; `hedgerow model report {out} --data {data}` measures them")
