"""Makes the small models beside it with TensorFlow's converter: .venv-train/bin/python make_converted.py

Untrained, a few kB each: what matters is which operators the converter writes, in which versions and types.
"""

import gzip
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
SIDE = 8


def classifier(activation: Callable[[], Any], batch_size: int | None = 1) -> Any:
    """The case study's network, smaller: two convolutions, Flatten, two Dense."""
    layers = tf.keras.layers
    return tf.keras.Sequential([
        tf.keras.Input((SIDE, SIDE, 1), batch_size=batch_size),
        layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(4, 3), layers.BatchNormalization(), activation(),
        layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax"),
    ])


def upsampler(bias: str) -> Any:
    """An encoder and decoder with Conv2DTranspose; with a bias other than 0 the converter joins the ReLU to it."""
    layers = tf.keras.layers
    return tf.keras.Sequential([
        tf.keras.Input((SIDE, SIDE, 1), batch_size=1), layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", bias_initializer=bias), layers.Conv2D(1, 1),
    ])


def pooled() -> Any:
    """Nothing that depends on the batch size, which is left open."""
    layers = tf.keras.layers
    return tf.keras.Sequential([
        tf.keras.Input((SIDE, SIDE, 1)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3),
    ])


def samples() -> Iterator[list[Any]]:
    """What the converter measures ranges with."""
    random = np.random.default_rng(0)
    for _ in range(8):
        yield [random.random((1, SIDE, SIDE, 1), np.float32)]


def convert(model: Any, *, ends: Any = tf.uint8, per_tensor_dense: bool = True, quantised: bool = True) -> bytes:
    """A .tflite file's bytes."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = ends
        converter._experimental_disable_per_channel_quantization_for_dense_layers = per_tensor_dense  # has no public name
    return bytes(converter.convert())


def main(folder: Path) -> None:
    """Writes all of them."""
    tf.keras.utils.set_random_seed(0)
    relu, leaky = tf.keras.layers.ReLU, tf.keras.layers.LeakyReLU
    made = {
        "relu": convert(classifier(relu)),
        "leaky_relu": convert(classifier(leaky)),
        "dense_per_channel": convert(classifier(relu), per_tensor_dense=False),
        "float_ends": convert(classifier(relu), ends=tf.float32),
        "float32": convert(classifier(relu), quantised=False),
        "open_batch": convert(classifier(relu, batch_size=None)),
        "open_batch_pooled": convert(pooled()),
        "transposed": convert(upsampler("zeros")),
        "transposed_relu": convert(upsampler("ones")),
    }
    for name, data in made.items():
        (folder / f"{name}.tflite.gz").write_bytes(gzip.compress(data, mtime=0))
        print(name, len(data))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
