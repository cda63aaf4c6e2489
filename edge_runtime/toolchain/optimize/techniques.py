"""Pruning, clustering and quantisation-aware training of a tf_keras model. Imports TensorFlow and tfmot.

`tf.keras` must mean Keras 2 in this process (TF_USE_LEGACY_KERAS=1, set before TensorFlow is imported).
https://www.tensorflow.org/model_optimization/guide
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

from domains.core import InputSpec
from edge_runtime.toolchain.optimize.plan import PRUNINGS, RAMP

KERNELS = {"Conv2D": "kernel", "Conv2DTranspose": "kernel", "Dense": "kernel", "SeparableConv2D": "pointwise_kernel"}
"""What tfmot prunes and clusters. Depthwise kernels stay: they are few, and each weighs a lot."""
_HINTS = {
    "BatchNormalization": "it can where it follows right after a convolution",
    "Multiply": "leave it out, as squeeze-and-excite blocks are left out of EfficientNet-Lite",
    "PReLU": "train with ReLU in its place",
    "Rescaling": "leave it out of the model, and give its numbers as --mean and --std",
}
TIES = 1e-3
"""The share of a layer's weights that may stay beyond the target, and one more: those that are as small as the largest one that
goes stay too, and of millions a few are equal to the last digit.
"""

Tune = Callable[[Any, list[Any]], None]
"""Fine-tunes a model in place, with callbacks."""


class NotPossible(ValueError):
    """Why a technique can't be used on this model, in a Keras user's words."""


def prune(model: Any, target: float, steps: int, tune: Tune) -> tuple[Any, list[str]]:
    """The model with the share `target` of each kernel's weights at zero, and the names of the layers that have them."""
    sparsity = tfmot.sparsity.keras
    ramp = max(1, int(steps * RAMP))
    schedule = sparsity.PolynomialDecay(0.0, target, 0, ramp, frequency=max(1, ramp // PRUNINGS))
    names = _with_kernels(model)
    wrapped = _wrap(model, names, lambda layer: sparsity.prune_low_magnitude(layer, schedule))
    tune(wrapped, [sparsity.UpdatePruningStep()])
    stripped = sparsity.strip_pruning(wrapped)
    for name in names:
        kernel = kernel_of(stripped.get_layer(name))
        if np.count_nonzero(kernel == 0) < (target - TIES) * kernel.size - 1:
            raise NotPossible(f"pruning reached only {np.mean(kernel == 0):.1%} zeros in the layer {name!r}, not {target:.0%}")
    return stripped, names


def cluster(model: Any, values: int, tune: Tune) -> tuple[Any, list[str]]:
    """The model with at most `values` different weights in each kernel, and the names of the layers that have them."""
    clustering = tfmot.clustering.keras
    names = _with_kernels(model)
    wrapped = _wrap(model, names, lambda layer: clustering.cluster_weights(
        layer, number_of_clusters=values, cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS))
    tune(wrapped, [])
    stripped = clustering.strip_clustering(wrapped)
    for name in names:
        found = len(np.unique(kernel_of(stripped.get_layer(name))))
        if found > values:
            raise NotPossible(f"clustering left {found} different weights in the layer {name!r}, not {values}")
    return stripped, names


def train_quantised(model: Any, spec: InputSpec, tune: Tune, *, pixels: bool, keeps_zeros: bool) -> Any:
    """The model after training that feels int8. `pixels`: its pictures are uint8, so the range of the input is known and not
    learned. `keeps_zeros`: weights that are zero stay so.
    """
    quantization = tfmot.quantization.keras
    try:
        annotated = quantization.quantize_annotate_model(model)
        if keeps_zeros:
            scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
            quantised = quantization.quantize_apply(annotated, scheme)
        else:
            quantised = quantization.quantize_apply(annotated)
    except (RuntimeError, ValueError) as error:
        raise NotPossible(_why_not_quantised(str(error))) from error
    if pixels:
        _fix_input_range(quantised, (0 - spec.mean) / spec.std, (255 - spec.mean) / spec.std)
    tune(quantised, [])
    return quantised


def kernel_of(layer: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The weights of a layer that are pruned and clustered."""
    return np.asarray(getattr(layer, KERNELS[type(layer).__name__]))


def _with_kernels(model: Any) -> list[str]:
    names = [layer.name for layer in model.layers if type(layer).__name__ in KERNELS]
    if not names:
        raise NotPossible(f"the model has no layer whose weights tfmot prunes or clusters ({', '.join(KERNELS)})")
    return names


def _wrap(model: Any, names: list[str], wrapped: Callable[[Any], Any]) -> Any:
    return tf_keras.models.clone_model(
        model, clone_function=lambda layer: wrapped(layer) if layer.name in names else layer)


def _fix_input_range(model: Any, low: float, high: float) -> None:
    layer = next(layer for layer in model.layers if type(layer).__name__ == "QuantizeLayer")
    for weight in layer.weights:
        if weight.name.split(":")[0].endswith("_min"):
            weight.assign(min(low, 0.0))
        elif weight.name.split(":")[0].endswith("_max"):
            weight.assign(max(high, 0.0))


def _why_not_quantised(message: str) -> str:
    found = re.search(r"[Ll]ayer (\S+?):?\s?\(?<class '[\w.]*?(\w+)'>", message)
    if found is None:
        return f"tfmot can't quantise the model: {message.strip().partition(chr(10))[0]}"
    name, kind = found.groups()
    hint = f": {_HINTS[kind]}" if kind in _HINTS else ""
    return f"tfmot can't quantise the layer {name.removeprefix('quantize_annotate_')!r} ({kind}){hint}"
