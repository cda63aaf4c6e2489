"""Makes files/pairs/ from a folder of real models and what the compiler made of them: make_pairs.py FOLDER

Only the graphs are kept: weights become zeros, so that a few kB are left, and what doesn't matter to the compiler's decisions goes.
"""

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_runtime.toolchain.edgetpu.compiled import read_compiled

HERE = Path(__file__).parent / "pairs"
_KEPT_VALUES = 64


def graph_of(data: bytes) -> bytes:
    """A model with its weights zeroed. Small constants of integers stay: they are shapes, axes and paddings."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    model.metadata, model.metadataBuffer, model.signatureDefs = [], [], []
    graph = model.subgraphs[0]
    kept = {
        tensor.buffer for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT32 and int(np.prod(tensor.shape if tensor.shape is not None else [])) <= _KEPT_VALUES
        and (tensor.quantization is None or tensor.quantization.scale is None)
    }
    for number, buffer in enumerate(model.buffers):
        if buffer.data is not None and number not in kept:
            buffer.data = np.zeros(len(buffer.data), np.uint8)
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"t{number}"
        if tensor.quantization is not None:
            _plain(tensor.quantization)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _plain(quantisation: Any) -> None:
    """How many scales there are is kept, not their values."""
    quantisation.min = quantisation.max = None
    if quantisation.scale is not None:
        quantisation.scale = np.full(len(quantisation.scale), 0.5, np.float32)
        quantisation.zeroPoint = np.zeros(len(quantisation.scale), np.int64)


def main(folder: Path) -> None:
    """Writes a graph for each pair, and compiled.json with what the compiler did."""
    HERE.mkdir(exist_ok=True)
    done = {}
    for path in sorted(folder.glob("*_edgetpu.tflite")):
        source = path.with_name(f"{path.name.removesuffix('_edgetpu.tflite')}.tflite")
        compiled = read_compiled(path)
        (HERE / f"{source.stem}.tflite.gz").write_bytes(gzip.compress(graph_of(source.read_bytes()), mtime=0))
        done[source.stem] = {
            "left_on_cpu": dict(sorted(Counter(compiled.ops_on_cpu).items())), "runtime_version": compiled.runtime_version,
            "cached_bytes": compiled.cached_bytes, "streamed_bytes": compiled.streamed_bytes,
        }
    (HERE / "compiled.json").write_text(json.dumps(done, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
