"""TFLite files with one thing in them changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Change = Callable[[Any, Any, Any], None]
"""Changes a model, given with its graph and the operator that is meant, all as the schema's objects."""


def damaged(source: Path, target: Path, op: int, change: Change) -> Path:
    """`source` with its operator `op` changed, written to `target`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source.read_bytes(), 0))
    graph = model.subgraphs[0]
    change(model, graph, graph.operators[op])
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(bytes(builder.Output()))
    return target


def rescaled(factor: float) -> Change:
    """The output's scale is another."""

    def change(_: Any, graph: Any, op: Any) -> None:
        quantisation = graph.tensors[op.outputs[0]].quantization
        quantisation.scale = np.asarray(quantisation.scale) * np.float32(factor)

    return change


def scrambled(share: float) -> Change:
    """A share of the weights' bytes is noise."""

    def change(model: Any, graph: Any, op: Any) -> None:
        buffer = model.buffers[graph.tensors[op.inputs[1]].buffer]
        content = np.array(buffer.data, np.uint8)
        count = int(content.size * share)
        content[:count] = np.random.default_rng(0).integers(0, 256, count)
        buffer.data = content

    return change


def renamed(model: Any, graph: Any, _: Any) -> None:
    """No tensor keeps its name, and the signature goes."""
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"t{number}".encode()
    model.signatureDefs = None


def untold(model: Any, _: Any, __: Any) -> None:
    """The metadata go, and with them labels and normalisation."""
    model.metadata = None
