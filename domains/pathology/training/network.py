"""The classification network: EfficientNet-Lite0, its evidence map for each label, and the map's mean as the logits.

The map is linear in the features, so the mean of a label's map is its logit: class activation mapping (Zhou et al.,
2016) with no second run. Two depths add up: stride 32 for what it is, stride 16 for where it is.
"""

from pathlib import Path
from typing import Any

import keras

FINE = "b11_expand_relu"
COARSE = "b12_add"


def build(backbone: Path, labels: int) -> Any:
    """Input (n, h, w, 3), any multiple of 32, as `(pixel - 127) / 128`; outputs `logits` (n, labels) and `activation`
    (n, h / 16, w / 16, labels).
    """
    source = keras.models.load_model(backbone)
    pixels = keras.Input((None, None, 3), name="pixels")
    cut = keras.Model(source.input, [source.get_layer(FINE).output, source.get_layer(COARSE).output])
    encoder = keras.models.clone_model(cut, input_tensors=pixels)
    for layer in encoder.layers:
        if layer.get_weights():
            layer.set_weights(source.get_layer(layer.name).get_weights())
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # batches are too small and too alike for new statistics
    fine, coarse = (keras.layers.Dropout(0.2)(output) for output in encoder.outputs)
    coarse = keras.layers.Conv2D(labels, 1, name="coarse_evidence")(coarse)
    coarse = keras.layers.UpSampling2D(2, interpolation="bilinear", name="coarse_up")(coarse)
    fine = keras.layers.Conv2D(labels, 1, name="fine_evidence")(fine)
    activation = keras.layers.Add(name="activation")([fine, coarse])
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(activation)
    return keras.Model(encoder.input, {"logits": logits, "activation": activation})
