"""A trained Keras model to the TFLite variants of a package. Imports TensorFlow: only training comes here.

What the Edge TPU compiler wants (batch of one, int8 at both ends, no per-channel Dense) is done for every model, so
that compiling is a later step and no new training.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels
from edge_runtime.models import TensorInfo, VariantInfo, sha256_of

SIGNATURE = "serving_default"


def convert(model: Any, spec: InputSpec, representative: Iterable[Pixels], folder: Path) -> dict[str, VariantInfo]:
    """Writes `float32.tflite` and `int8.tflite` into `folder`; `representative` gives pixels (1, h, w, 3)."""
    written = {}
    with tempfile.TemporaryDirectory() as saved:
        _save(model, spec, saved)
        for variant in ("float32", "int8"):
            converter = tf.lite.TFLiteConverter.from_saved_model(saved)
            if variant == "int8":
                _quantise(converter, spec, representative)
            path = folder / f"{variant}.tflite"
            path.write_bytes(converter.convert())
            written[variant] = describe(path)
    return written


def describe(path: Path) -> VariantInfo:
    """The manifest's entry for a TFLite file: its tensors by the names of its signature. Raises ValueError for a file
    without one signature of one input.
    """
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(SIGNATURE)
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


def _save(model: Any, spec: InputSpec, folder: str) -> None:
    signature = tf.TensorSpec((1, spec.height, spec.width, 3), tf.float32, name="pixels")
    serve = tf.function(lambda pixels: model(pixels, training=False), input_signature=[signature])
    holder = tf.Module()  # not the Keras model: it would be traced again, for pictures of unknown size
    holder.variables_of_model = [variable.value for variable in model.variables]
    tf.saved_model.save(holder, folder, signatures={SIGNATURE: serve.get_concrete_function()})


def _quantise(converter: Any, spec: InputSpec, representative: Iterable[Pixels]) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # has no public name
    converter.representative_dataset = lambda: _reals(representative, spec)


def _reals(representative: Iterable[Pixels], spec: InputSpec) -> Iterator[list[NDArray[np.float32]]]:
    """The representative pixels as real values, preceded by one that holds 0 and 255: then the input's scale is 1 / std
    and every pixel value has an integer of its own.
    """
    given = iter(representative)
    first = next(given)
    extreme = first.copy()
    extreme[0, 0, 0], extreme[0, 0, 1] = 0, 255
    for pixels in chain((extreme, first), given):
        yield [(pixels.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)]


def _tensor(detail: dict[str, Any], position: int) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple(int(size) for size in detail["shape"]),
        scale=float(scale),
        zero_point=int(zero_point),
        position=position,
    )
