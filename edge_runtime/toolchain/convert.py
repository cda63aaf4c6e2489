"""A trained Keras model to TFLite files. Imports TensorFlow: only training and `hedgerow model optimize` come here.

What the Edge TPU compiler wants (batch of one, int8 at both ends, no per-channel Dense) is done for every model, so
that compiling is a later step and no new training.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels
from edge_runtime.models import VariantInfo
from edge_runtime.toolchain.describe import SIGNATURE, describe

Form = Literal["float32", "float16", "dynamic_range", "int8"]
"""`float16` keeps the weights in half precision, `dynamic_range` in int8; both are fed and answer in float32."""


def convert(model: Any, spec: InputSpec, representative: Iterable[Pixels], folder: Path) -> dict[str, VariantInfo]:
    """Writes `float32.tflite` and `int8.tflite` into `folder`; `representative` gives pixels (1, h, w, channels)."""
    written = {}
    with tempfile.TemporaryDirectory() as saved:
        save(model, spec, saved)
        for variant, examples in (("float32", None), ("int8", representative)):
            path = folder / f"{variant}.tflite"
            path.write_bytes(to_tflite(saved, "float32" if examples is None else "int8", spec, examples))
            written[variant] = describe(path)
    return written


def save(model: Any, spec: InputSpec, folder: str, output: str = "") -> None:
    """Writes a Keras 3 or tf_keras model as a SavedModel that takes one picture, called `pixels`. `output`: the name of the
    only output; without it the model must give a dict of names.
    """
    signature = tf.TensorSpec(spec.shape, tf.float32, name="pixels")

    def answer(pixels: Any) -> Any:
        answered = model(pixels, training=False)
        return {output: answered} if output else answered

    serve = tf.function(answer, input_signature=[signature])
    holder = tf.Module()  # not the Keras model: it would be traced again, for pictures of unknown size
    holder.variables_of_model = [
        variable if isinstance(variable, tf.Variable) else variable.value for variable in model.variables
    ]
    tf.saved_model.save(holder, folder, signatures={SIGNATURE: serve.get_concrete_function()})


def to_tflite(saved: str, form: Form, spec: InputSpec,
              representative: Iterable[NDArray[np.generic]] | None = None) -> bytes:
    """The TFLite file of what `save` wrote.

    `representative`: pictures (1, h, w, channels) from which int8 takes its ranges, uint8 pixels or real values in float32;
    None where the model brings its ranges along, as after quantisation-aware training.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    if form != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if form == "int8":
        _quantise(converter, spec, representative)
    return bytes(converter.convert())


def _quantise(converter: Any, spec: InputSpec, representative: Iterable[NDArray[np.generic]] | None) -> None:
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # has no public name
    if representative is not None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _reals(representative, spec)


def _reals(representative: Iterable[NDArray[np.generic]], spec: InputSpec) -> Iterator[list[NDArray[np.float32]]]:
    """The representative pictures as real values. Pixels are preceded by a picture that holds 0 and 255: then the input's
    scale is 1 / std and every pixel value has an integer of its own.
    """
    given = iter(representative)
    first = next(given)
    pictures = chain((first,), given)
    if first.dtype != np.uint8:
        yield from ([picture.astype(np.float32)] for picture in pictures)
        return
    extreme = first.copy()
    extreme[0, 0, 0], extreme[0, 0, 1] = 0, 255
    for pixels in chain((extreme,), pictures):
        yield [(pixels.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)]
