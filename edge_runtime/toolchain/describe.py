"""A TFLite file as the manifest describes it. No TensorFlow here."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge_runtime.models import TensorInfo, VariantInfo, sha256_of

SIGNATURE = "serving_default"


def describe(path: Path) -> VariantInfo:
    """The manifest's entry for a TFLite file: its tensors by the names of its signature. Raises ValueError, naming the
    file, where it can't be loaded or hasn't that signature and one input.
    """
    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(SIGNATURE)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path.name} is no TFLite file with the signature {SIGNATURE!r}: {error}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        raise ValueError(f"{path.name} must have one input, it has {len(inputs)}")
    places = {detail["index"]: position for position, detail in enumerate(outputs)}
    return VariantInfo(
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        input=_tensor(inputs[0], 0),
        outputs={name: _tensor(detail, places[detail["index"]])
                 for name, detail in runner.get_output_details().items()},
    )


def _tensor(detail: dict[str, Any], position: int) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple(int(size) for size in detail["shape"]),
        scale=float(scale),
        zero_point=int(zero_point),
        position=position,
    )
