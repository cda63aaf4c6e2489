"""A graph as a model of Keras 2 (tf_keras), which is what tfmot takes. Imports TensorFlow.

For each kind of layer stand the options that mean something when it answers; how weights were initialised or regularised
doesn't. Whether nothing was lost is not argued but computed: both models must give the same answers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from edge_runtime.toolchain.optimize.graph import Call, Graph, Layer, NotTranslatable

_CONVOLUTION = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
_POOLING = ("pool_size", "strides", "padding", "data_format")
_MERGE = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "Conv2D": ("filters", "groups", *_CONVOLUTION),
    "Conv2DTranspose": ("filters", "output_padding", *_CONVOLUTION),
    "DepthwiseConv2D": ("depth_multiplier", *_CONVOLUTION),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONVOLUTION),
    "Dense": ("units", "activation", "use_bias"),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Activation": ("activation",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("alpha",),
    "PReLU": ("shared_axes",),
    "ELU": ("alpha",),
    "Softmax": ("axis",),
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalAveragePooling2D": ("data_format", "keepdims"),
    "GlobalMaxPooling2D": ("data_format", "keepdims"),
    "Flatten": ("data_format",),
    "Reshape": ("target_shape",),
    "Permute": ("dims",),
    "Concatenate": ("axis",),
    "Dropout": ("rate",),
    "SpatialDropout2D": ("rate",),
    "ZeroPadding2D": ("padding", "data_format"),
    "Cropping2D": ("cropping", "data_format"),
    "UpSampling2D": ("size", "data_format", "interpolation"),
    "Rescaling": ("scale", "offset"),
    **dict.fromkeys(_MERGE, ()),
}
TOLERANCE = 1e-4
"""Both models may differ by this share of the largest score: they add in another order."""


def build(graph: Graph, shape: tuple[int, int, int]) -> Any:
    """The Functional model of tf_keras for pictures of `shape` (height, width, channels), with the graph's weights.

    Layers keep their names. All are trainable, but for batch normalisation that was frozen. Raises NotTranslatable, naming
    the layer.
    """
    pixels = tf_keras.Input(shape, name="pixels")
    layers = {name: _layer(layer) for name, layer in graph.layers.items()}
    results = {-1: pixels}
    for number, call in enumerate(graph.calls):
        results[number] = _called(graph.layers[call.layer], layers[call.layer], call, results)
    model = tf_keras.Model(pixels, results[graph.output])
    for name, layer in graph.layers.items():
        if len(layers[name].get_weights()) != len(layer.weights):
            raise NotTranslatable(f"the layer {name!r} ({layer.kind}) has other weights in Keras 2")
        layers[name].set_weights(layer.weights)
        layers[name].trainable = layer.kind != "BatchNormalization" or not layer.is_frozen
    return model


def check_same(translated: Any, expected: NDArray[np.float32], pictures: NDArray[np.float32]) -> float:
    """The largest difference between the translated model's answers and the expected ones. Raises NotTranslatable where
    that is more than rounding.
    """
    given = np.asarray(translated(pictures, training=False))
    if given.shape != expected.shape:
        raise NotTranslatable(f"translated to Keras 2 the model gives {given.shape} instead of {expected.shape}")
    difference = float(np.abs(given - expected).max())
    if not difference <= TOLERANCE * float(np.abs(expected).max()):
        raise NotTranslatable(f"translated to Keras 2 the model's answers differ by up to {difference:.2g}")
    return difference


def _layer(layer: Layer) -> Any:
    options = _OPTIONS.get(layer.kind)
    if options is None:
        raise NotTranslatable(f"the layer {layer.name!r} ({layer.kind}) is none that can be taken over into Keras 2, which "
                              "tfmot needs")
    config = dict(layer.config)
    if layer.kind == "LeakyReLU":
        config.setdefault("alpha", config.get("negative_slope"))
    if not isinstance(config.get("activation"), str | None):
        raise NotTranslatable(f"the layer {layer.name!r} ({layer.kind}) has an activation that is an object; "
                              "make it a layer of its own")
    try:
        return getattr(tf_keras.layers, layer.kind)(
            name=layer.name, **{option: config[option] for option in options if option in config})
    except (TypeError, ValueError) as error:
        raise NotTranslatable(f"Keras 2 doesn't take the layer {layer.name!r} ({layer.kind}): {error}") from error


def _called(layer: Layer, made: Any, call: Call, results: Mapping[int, Any]) -> Any:
    given = [results[source] for source in call.inputs]
    try:
        return made(given if layer.kind in {*_MERGE, "Concatenate"} else given[0])
    except (TypeError, ValueError) as error:
        raise NotTranslatable(f"Keras 2 doesn't take the layer {layer.name!r} ({layer.kind}): {error}") from error
