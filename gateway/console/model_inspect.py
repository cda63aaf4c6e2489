"""`hedgerow model inspect` on a terminal and as JSON."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.toolchain.edgetpu.compiled import Compiled
from edge_runtime.toolchain.edgetpu.executable import Executable
from edge_runtime.toolchain.tflite import Tensor


def compiled_view(compiled: Compiled) -> RenderableType:
    """The file as a whole, its inputs and outputs, and what the TPU is given."""
    facts = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (
        ("chip", compiled.chip),
        ("oldest runtime", str(compiled.runtime_version)),
        ("compiler", compiled.compiler or "not recorded"),
        ("parameters cached", f"{compiled.cached_bytes:,} bytes, in the TPU's memory between runs"),
        ("parameters streamed", f"{compiled.streamed_bytes:,} bytes, sent with every run"),
        ("instructions", f"{compiled.instruction_bytes:,} bytes"),
        ("co-compilation token", ", ".join(map(_token, compiled.tokens)) or "none"),
        ("on the CPU", _counted(compiled.ops_on_cpu) or "no operator"),
        ("file", f"{compiled.size_bytes:,} bytes"),
    ):
        facts.add_row(name, escape(value))
    tensors = _forms("tensors of the file", "#")
    for what, listed in (("input", compiled.inputs), ("output", compiled.outputs)):
        for position, tensor in enumerate(listed):
            tensors.add_row(
                what, str(position), escape(tensor.name), tensor.dtype, "x".join(map(str, tensor.shape)) or "set in use",
                ", ".join(map(_scale, tensor.scales[:4])), ", ".join(map(str, tensor.zero_points[:4])),
            )
    parts = [part for number in range(len(compiled.packages)) for part in _parts(compiled, number)]
    return Group(f"[bold]{escape(compiled.name)}[/bold]", facts, "", tensors, *parts)


def compiled_to_json(compiled: Compiled) -> dict[str, Any]:
    """All of it. Sizes in bytes, tokens in hexadecimal: they have 64 bits, which JSON's numbers haven't everywhere."""
    return {
        "file": compiled.name, "size_bytes": compiled.size_bytes, "description": compiled.description,
        "chip": compiled.chip, "runtime_version": compiled.runtime_version, "compiler": compiled.compiler,
        "cached_bytes": compiled.cached_bytes, "streamed_bytes": compiled.streamed_bytes,
        "instruction_bytes": compiled.instruction_bytes, "tokens": [_token(token) for token in compiled.tokens],
        "ops_on_cpu": dict(Counter(compiled.ops_on_cpu)),
        "inputs": [_tensor_to_json(tensor) for tensor in compiled.inputs],
        "outputs": [_tensor_to_json(tensor) for tensor in compiled.outputs],
        "packages": [
            {
                "runtime_version": package.runtime_version, "compiler": package.compiler,
                "executables": [_executable_to_json(executable) for executable in package.executables],
            }
            for package in compiled.packages
        ],
    }


def _parts(compiled: Compiled, number: int) -> list[RenderableType]:
    """The executables of a custom operator, and what the one that runs takes in and gives out."""
    shown: list[RenderableType] = []
    for executable in compiled.packages[number].executables:
        place = f"part {number + 1}, " if len(compiled.packages) > 1 else ""
        shown += ["", escape(
            f"{place}{executable.kind}: {executable.parameter_bytes:,} bytes of parameters, {executable.instruction_bytes:,} of instructions"
        )]
        if executable.inputs or executable.outputs:
            shown.append(_layers(executable))
    return shown


def _layers(executable: Executable) -> Table:
    table = _forms("layers, as y x z", "bytes")
    for what, listed in (("input", executable.inputs), ("output", executable.outputs)):
        for layer in listed:
            table.add_row(
                what, f"{layer.size_bytes:,}", escape(layer.name), layer.dtype, "x".join(map(str, layer.shape)),
                _scale(layer.scale), str(layer.zero_point),
            )
    return table


def _forms(name: str, second: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(second, no_wrap=True)
    table.add_column(name, overflow="fold")
    for column in ("dtype", "shape", "scale", "zero point"):
        table.add_column(column, overflow="fold")
    return table


def _scale(scale: float) -> str:
    return f"{scale:.7g}"


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" if count > 1 else name for name, count in Counter(names).items())


def _token(token: int) -> str:
    return f"{token:016x}"


def _finite(number: float) -> float | None:
    """JSON knows neither NaN nor infinity, a damaged file may hold both."""
    return number if math.isfinite(number) else None


def _tensor_to_json(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape),
        "scales": [_finite(scale) for scale in tensor.scales], "zero_points": list(tensor.zero_points),
    }


def _executable_to_json(executable: Executable) -> dict[str, Any]:
    return {
        "type": executable.kind, "chip": executable.chip, "parameter_bytes": executable.parameter_bytes,
        "instruction_bytes": executable.instruction_bytes, "scratch_bytes": executable.scratch_bytes,
        "token": _token(executable.token),
        **{
            what: [
                {
                    "name": layer.name, "shape": list(layer.shape), "dtype": layer.dtype, "scale": _finite(layer.scale),
                    "zero_point": layer.zero_point, "size_bytes": layer.size_bytes,
                }
                for layer in layers
            ]
            for what, layers in (("inputs", executable.inputs), ("outputs", executable.outputs))
        },
    }
