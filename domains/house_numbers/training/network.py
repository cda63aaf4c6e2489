"""The network of the published case study: two convolutions, two dense layers, 3,222,250 parameters."""

from typing import Any, Literal

import keras

PARAMETERS = 3_222_250
Leak = Literal["", "conv1", "conv2", "dense"]
"""Behind which layer LeakyReLU stands in place of ReLU; nowhere by default."""


def published(leak: Leak = "") -> Any:
    """Input `pixels` (n, 32, 32, 1), real values; output `probabilities` (n, 10)."""
    return keras.Sequential([
        keras.Input((32, 32, 1), name="pixels"), *_body(leak),
        keras.layers.Dense(10, activation="softmax", name="probabilities"),
    ], name="svhn_digits")


def with_logits() -> Any:
    """The same without its softmax: output `logits` (n, 10) in a dict, as `hedgerow train` wants it."""
    pixels = keras.Input((32, 32, 1), name="pixels")
    values = pixels
    for layer in [*_body(""), keras.layers.Dense(10, name="logits")]:
        values = layer(values)
    return keras.Model(pixels, {"logits": values})


def _body(leak: Leak) -> list[Any]:
    layers = []
    for name, layer in (("conv1", keras.layers.Conv2D(32, 3, name="conv1")),
                        ("conv2", keras.layers.Conv2D(32, 3, name="conv2")),
                        ("dense", keras.layers.Dense(128, name="dense"))):
        if name == "dense":
            layers.append(keras.layers.Flatten(name="flatten"))
        if name != leak:
            layer.activation = keras.activations.relu
        layers.append(layer)
        if name == leak:
            layers.append(keras.layers.LeakyReLU(name="leaky_relu"))
    return layers
