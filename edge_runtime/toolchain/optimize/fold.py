"""Batch normalisation worked into the layer before it, as the TFLite converter does it.

It must happen before clustering: it scales each filter by a factor of its own, so 16 values a layer would become 16 values a
filter in the file, and nothing would be won.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edge_runtime.toolchain.optimize.graph import Call, Graph, Layer

_OUTPUT_AXIS = {"Conv2D": 3, "Dense": 1, "Conv2DTranspose": 2, "SeparableConv2D": 3}
"""Where the filters are counted in the last kernel; of a depthwise kernel it is the last two axes together."""


def fold_batch_normalisation(graph: Graph) -> Graph:
    """The same graph without each BatchNormalization that follows right after a convolution or a Dense layer which nothing
    else uses.
    """
    used_layers = Counter(call.layer for call in graph.calls)
    used_results = Counter(source for call in graph.calls for source in call.inputs)
    used_results[graph.output] += 1
    layers, calls, places = dict(graph.layers), list[Call](), {-1: -1}
    for number, call in enumerate(graph.calls):
        before = graph.calls[call.inputs[0]].layer if call.inputs and call.inputs[0] >= 0 else ""
        single = before and used_layers[before] == used_layers[call.layer] == used_results[call.inputs[0]] == 1
        folded = _folded(layers[before], layers[call.layer]) if single and before in layers else None
        if folded is None:
            calls.append(Call(call.layer, tuple(places[source] for source in call.inputs)))
            places[number] = len(calls) - 1
        else:
            layers[before] = folded
            del layers[call.layer]
            places[number] = places[call.inputs[0]]
    return Graph(layers, tuple(calls), places[graph.output])


def _folded(layer: Layer, norm: Layer) -> Layer | None:
    """`layer` with `norm` worked in; None where that can't be done."""
    if norm.kind != "BatchNormalization" or layer.kind not in {*_OUTPUT_AXIS, "DepthwiseConv2D"}:
        return None
    if layer.config.get("activation") not in {None, "linear"} or not _is_last_axis(norm.config):
        return None
    weights = list(layer.weights)
    bias = weights.pop() if layer.config["use_bias"] else np.float32(0)
    values = list(norm.weights)
    gamma = values.pop(0) if norm.config["scale"] else np.float32(1)
    beta = values.pop(0) if norm.config["center"] else np.float32(0)
    mean, variance = values
    factor = gamma / np.sqrt(variance + norm.config["epsilon"])
    kernel = weights[-1]
    shape = kernel.shape[2:] if layer.kind == "DepthwiseConv2D" else tuple(
        -1 if axis == _OUTPUT_AXIS[layer.kind] else 1 for axis in range(kernel.ndim))
    weights[-1] = (kernel * factor.reshape(shape)).astype(np.float32)
    weights.append(((bias - mean) * factor + beta).astype(np.float32))
    return replace(layer, config={**layer.config, "use_bias": True}, weights=tuple(weights))


def _is_last_axis(config: Mapping[str, object]) -> bool:
    axis = config["axis"]
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    return axis in {-1, 1, 3}
