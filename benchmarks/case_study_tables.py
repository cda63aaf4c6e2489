"""What the Edge TPU compiler will do with the case study's network, with ReLU and with LeakyReLU, beside what was published."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec
from domains.house_numbers.training import RECIPES
from edge_runtime.toolchain.edgetpu.predict import Prediction, predict
from edge_runtime.toolchain.tflite import read_model

PUBLISHED = {"mapped": {"CONV_2D": 2, "FULLY_CONNECTED": 2, "QUANTIZE": 2, "RESHAPE": 1, "SOFTMAX": 1}, "cpu": {"LEAKY_RELU": 1}}
"""The op table of the published case study, LeakyReLU version."""
PLACES = {"": "ReLU throughout", "conv1": "LeakyReLU behind the first convolution",
          "conv2": "LeakyReLU behind the second convolution", "dense": "LeakyReLU behind the first dense layer"}
ENDS = ("uint8", "int8")


def op_tables(model: Path, digits: Path) -> list[dict[str, Any]]:
    """A row for each network and each way of calling the compiler: `network`, `ends`, `many_subgraphs`, `mapped` and `cpu`
    (operator to count), `is_published`. The weights are those of the trained `model` in each of them: none was trained anew
    with LeakyReLU, since only the kinds of operators count.
    """
    rows = []
    for leak, network in PLACES.items():
        for ends in ENDS if not leak else ENDS[:1]:
            path = model.parent / "op_tables" / f"{leak or 'relu'}_{ends}.tflite"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_converted(model, digits, leak, ends))
            rows += [{"network": network, "ends": ends, "many_subgraphs": many, "file": path.name,
                      **counted(predict(read_model(path), many_subgraphs=many))} for many in (False, True)]
    return rows


def counted(predicted: Prediction) -> dict[str, Any]:
    """How often each operator is mapped, how often it stays on the CPU, and whether that is the published table."""
    mapped = Counter(op.name for op in predicted.ops if op.mapped)
    cpu = Counter(op.name for op in predicted.ops if not op.mapped)
    found = {"mapped": dict(sorted(mapped.items())), "cpu": dict(sorted(cpu.items()))}
    reasons = {op.name: op.reason for op in predicted.ops if not op.mapped}
    return {**found, "reasons": reasons, "is_published": found == PUBLISHED}


def _converted(model: Path, digits: Path, leak: Any, ends: str) -> bytes:
    import keras
    import tensorflow as tf

    from domains.house_numbers.training.network import published
    from edge_runtime.toolchain.convert import save

    network = published(leak)
    network.set_weights(keras.models.load_model(model, compile=False).get_weights())
    spec = RECIPES[0].identity.input
    with tempfile.TemporaryDirectory() as saved:
        save(network, spec, saved, "probabilities")
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, ends)
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001  # has no public name
        converter.representative_dataset = lambda: _reals(digits, spec)
        return bytes(converter.convert())


def _reals(digits: Path, spec: InputSpec) -> Iterable[list[NDArray[np.float32]]]:
    with np.load(digits, allow_pickle=False) as arrays:
        images = arrays["train_images"]
    for image in images[:100]:
        yield [(image[None].astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)]
