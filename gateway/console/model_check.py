"""`hedgerow model check`: the prediction for people and for scripts."""

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.toolchain.edgetpu.memory import CHIP_BYTES
from edge_runtime.toolchain.edgetpu.predict import Prediction, Together
from edge_runtime.toolchain.edgetpu.statuses import BEHIND, MAPPED
from edge_runtime.toolchain.tflite import Model

_BAR = 32
_FULL, _STREAMED, _FREE = "█", "▒", "░"
_MAX_PLACES = 6
"""Operators that are named by index in a piece of advice."""


def model_to_json(file: Path, model: Model, prediction: Prediction) -> dict[str, Any]:
    """One model's prediction as a document. Bytes are the chip's; shapes have -1 where the file leaves a size open."""
    return {
        "file": str(file),
        "ops_total": prediction.ops_total,
        "ops_mapped": prediction.ops_mapped,
        "parameter_bytes": prediction.parameter_bytes,
        "streamed_bytes": prediction.streamed_bytes,
        "available_bytes": prediction.available_bytes,
        "fatal": prediction.fatal,
        "runtime_version": prediction.runtime_version,
        "advice": list(prediction.advice),
        "ops": [
            {
                "index": op.index, "name": op.name, "version": op.version, "mapped": op.mapped, "reason": op.reason,
                "advice": op.advice,
            } for op in prediction.ops
        ],
        "inputs": [_tensor_to_json(model, index) for index in model.inputs if index >= 0],
        "outputs": [_tensor_to_json(model, index) for index in model.outputs if index >= 0],
    }


def _tensor_to_json(model: Model, index: int) -> dict[str, Any]:
    tensor = model.tensors[index]
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape_signature)}


def together_to_json(shared: Together) -> dict[str, Any]:
    """Whether models that are compiled together fit, as a document."""
    return {"fits": shared.fits, "refused": shared.refused, "needed_bytes": shared.needed_bytes, "available_bytes": shared.available_bytes}


def model_view(file: Path, model: Model, prediction: Prediction) -> RenderableType:
    """One model's prediction for a person: a line, the operators as the compiler's log groups them, advice, memory."""
    ends = ", ".join(_end(model, index) for index in (*model.inputs, *model.outputs) if index >= 0)
    parts: list[RenderableType] = [f"[bold]{escape(file.name)}[/bold]: {summary(prediction)}", f"  {escape(ends)}"]
    if not prediction.fatal:
        parts.append(_table(prediction))
    if mending := _mending(prediction):
        parts += ["[bold]What to change[/bold]", *(f"  {escape(line)}" for line in mending)]
    if prediction.ops_mapped:
        parts.append(_memory(prediction))
    return Group(*parts, "")


def summary(prediction: Prediction) -> str:
    """How much of a model the Edge TPU runs, in a sentence."""
    if prediction.fatal:
        return f"[red]the compiler will refuse it[/red]: {escape(prediction.fatal)}"
    left = prediction.ops_total - prediction.ops_mapped
    if not left:
        return f"[green]all {prediction.ops_total} operators go to the Edge TPU[/green]"
    colour = "yellow" if prediction.ops_mapped else "red"
    return f"[{colour}]{prediction.ops_mapped} of {prediction.ops_total} operators go to the Edge TPU[/{colour}], {left} stay on the CPU"


def together_view(shared: Together, count: int) -> str:
    """Whether models fit on one TPU, in a sentence."""
    if shared.refused:
        return f"[red]The {count} models can't be compiled together[/red]: the compiler refuses {shared.refused} of them."
    sizes = f"{_mebibytes(shared.needed_bytes)} of about {_mebibytes(shared.available_bytes)}"
    if shared.fits:
        return f"[green]The {count} models fit on one Edge TPU together[/green] ({sizes}): compile them with one call, in one list."
    return (
        f"[yellow]The {count} models don't fit on one Edge TPU together[/yellow] ({sizes}): what is listed last is streamed for every"
        " run. Give them a TPU each, or list the one that is asked most first."
    )


def _table(prediction: Prediction) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("  Operator")
    shown.add_column("Count", justify="right")
    shown.add_column("Status")
    counts = Counter((op.name, op.reason) for op in prediction.ops)
    for (name, reason), count in counts.items():
        style = "" if reason == MAPPED else "[yellow]"
        shown.add_row(f"  {escape(name)}", str(count), f"{style}{escape(reason)}")
    return shown


def _mending(prediction: Prediction) -> list[str]:
    """Each piece of advice once, with the operators that it is for. Of those behind another none, but for their number."""
    if prediction.fatal:
        return list(prediction.advice)
    lines = []
    wanted: dict[str, list[str]] = {}
    for op in prediction.ops:
        if op.advice and op.reason != BEHIND:
            wanted.setdefault(op.advice, []).append(f"{op.name} ({op.index})")
    for advice, places in wanted.items():
        more = f" and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
        lines.append(f"{', '.join(places[:_MAX_PLACES])}{more}: {advice}")
    if behind := sum(op.reason == BEHIND for op in prediction.ops):
        lines.append(f"{behind} that would map come after one that doesn't: they map once it does (or with --multiple-subgraphs)")
    return lines + list(prediction.advice)


def _memory(prediction: Prediction) -> str:
    cached = round(_BAR * prediction.parameter_bytes / CHIP_BYTES)
    room = max(cached, round(_BAR * prediction.available_bytes / CHIP_BYTES))
    bar = _FULL * cached + _FREE * (room - cached) + _STREAMED * (_BAR - room)
    told = f"{_mebibytes(prediction.parameter_bytes)} of parameters on the chip, of about {_mebibytes(prediction.available_bytes)}"
    if prediction.streamed_bytes:
        told += f"; {_mebibytes(prediction.streamed_bytes)} streamed for every run"
    return f"  Memory {bar} {told}; runtime {prediction.runtime_version} or newer"


def _end(model: Model, index: int) -> str:
    """An input or an output: its type and shape."""
    tensor = model.tensors[index]
    way = "in" if index in model.inputs else "out"
    return f"{way} {tensor.dtype} {'x'.join('?' if size < 0 else str(size) for size in tensor.shape_signature) or 'scalar'}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.2f} MiB" if size >= 2**20 else f"{size / 2**10:.1f} KiB"
