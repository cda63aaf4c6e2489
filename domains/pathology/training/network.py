"""The classification network: EfficientNet-Lite0, cut, an evidence map for each label, and what the gate asks.

The map is linear in the features, so the mean of a label's map is its share of the logit: class activation mapping (Zhou et
al., 2016) with no second run. Two depths add up: stride 32 for what it is, stride 16 for where it is. What no place alone can
show is added from the pooled features: it moves the logit, not the map.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec, Pixels

FROZEN_UP_TO = "b4_add"
"""Edges and textures stay as ImageNet taught them: a few hundred pictures would only spoil them, and training is faster."""
GATE = "familiarity"
FEATURES = "gate_features"
GATE_WIDTH = 48
SPECK = 1e-2
"""So little evidence inside costs as much as next to none: a map that says nothing anywhere must cost, too."""


FINE = "b11_expand_relu"
"""The backbone's features at stride 16."""
OFFSET = "offset_of_labels"
"""The layer whose bias moves the logits and no map."""


def build(backbone: Path, labels: int, coarse: str) -> Any:
    """Input (n, h, w, 3), any multiple of 32, as `(pixel - 127) / 128`; outputs `logits` (n, labels), `activation`
    (n, h / 16, w / 16, labels) and `familiarity` (n, 48). `coarse`: the layer at stride 32 where the backbone is cut.
    """
    source = keras.models.load_model(backbone)
    pixels = keras.Input((None, None, 3), name="pixels")
    wanted = [source.get_layer(name).output for name in (FINE, coarse)]
    encoder = keras.models.clone_model(keras.Model(source.input, wanted), input_tensors=pixels)
    frozen = True
    for layer in encoder.layers:
        if layer.get_weights():
            layer.set_weights(source.get_layer(layer.name).get_weights())
        # Batches are too small and too alike for new statistics.
        layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)
        frozen = frozen and layer.name != FROZEN_UP_TO
    dropped = [keras.layers.Dropout(0.2)(output) for output in encoder.outputs]
    activation = _evidence(dropped[0], dropped[1], labels)
    fine_logits = keras.layers.Conv2D(labels, 1, use_bias=False)(_pooled(dropped[0]))
    coarse_logits = keras.layers.Conv2D(labels, 1, name=OFFSET)(_pooled(dropped[1]))
    logits = keras.layers.Add(name="logits_of_all")([_pooled(activation), fine_logits, coarse_logits])
    familiarity = _pooled(encoder.outputs[1], name=FEATURES)
    familiarity = keras.layers.Conv2D(GATE_WIDTH, 1, name=GATE, trainable=False)(familiarity)
    return keras.Model(encoder.input, {
        "logits": keras.layers.Flatten(name="logits")(logits), "activation": activation,
        "familiarity": keras.layers.Flatten(name="familiarity_flat")(familiarity),
    })


def logits_of(model: Any, frames: Sequence[Pixels], spec: InputSpec) -> NDArray[np.float32]:
    """(frames, labels), by the trained Keras model; each frame uint8 (1, h, w, 3)."""
    pixels = np.concatenate(frames).astype(np.float32)
    return np.asarray(model((pixels - spec.mean) / spec.std, training=False)["logits"], np.float32)


def _evidence(fine: Any, coarse: Any, labels: int) -> Any:
    coarse = keras.layers.Conv2D(labels, 1, name="coarse_evidence")(coarse)
    coarse = keras.layers.UpSampling2D(2, interpolation="bilinear", name="coarse_up")(coarse)
    fine = keras.layers.Conv2D(labels, 1, name="fine_evidence")(fine)
    return keras.layers.Add(name="activation")([fine, coarse])


def _pooled(features: Any, name: str | None = None) -> Any:
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(features)


@keras.saving.register_keras_serializable("hedgerow")
class EvidenceInside(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """How little of the truth's evidence lies inside the lesion: -log of the share of its positive map that does.

    `y_true` (n, h, w, labels): the share of each cell that the lesion covers, in the map of the truth alone; all 0 for a
    picture without a mask, which then doesn't count.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        of_truth = keras.ops.cast(keras.ops.max(y_true, axis=(1, 2), keepdims=True) > 0, y_pred.dtype)
        positive = keras.ops.relu(y_pred) * of_truth
        inside = keras.ops.sum(positive * y_true, axis=(1, 2, 3))
        total = keras.ops.sum(positive, axis=(1, 2, 3))
        counts = keras.ops.cast(keras.ops.max(of_truth, axis=(1, 2, 3)) > 0, y_pred.dtype)
        return -keras.ops.log((inside + SPECK) / (total + 1.0)) * counts
