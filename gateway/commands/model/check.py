"""`hedgerow model check`: what the Edge TPU's compiler will do with a .tflite file."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail
from gateway.commands.options import AsJson


def check(
    files: Annotated[list[Path], typer.Argument(help=".tflite files. Several: whether they fit on one TPU together.", show_default=False)],
    multiple_subgraphs: Annotated[bool, typer.Option("--multiple-subgraphs", help="As with the compiler's -a: operators behind one that stays on the CPU map too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 unless every operator maps.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict what edgetpu_compiler will do with a model: which operators map and why not, the memory, and what to change.

    Needs neither the compiler nor a TPU. docs/check.md says how good it is.
    """
    from edge_runtime.toolchain.edgetpu.predict import predict, together
    from edge_runtime.toolchain.tflite import read_model
    from gateway.console.model_check import model_to_json, model_view, together_to_json, together_view

    found = []
    for file in files:
        try:
            model = read_model(file)
        except ValueError as error:
            fail(str(error))
        found.append((file, model, predict(model, many_subgraphs=multiple_subgraphs)))
    predictions = [prediction for _, _, prediction in found]
    documents = [model_to_json(*one) for one in found]
    shared = together(predictions)
    if as_json:
        several = {"models": documents, "together": together_to_json(shared)}
        print(json.dumps(documents[0] if len(documents) == 1 else several, indent=2))
    else:
        console = Console()
        for one in found:
            console.print(model_view(*one), soft_wrap=True)
        if len(found) > 1:
            console.print(together_view(shared, len(found)), soft_wrap=True)
    if strict and any(prediction.ops_mapped < prediction.ops_total for prediction in predictions):
        raise typer.Exit(1)
