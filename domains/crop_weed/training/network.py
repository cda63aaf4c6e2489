"""The segmentation network: EfficientNet-Lite0 up to stride 16, and a light decoder with skips back to stride 2.

Every operation maps to the Edge TPU: convolutions, depthwise convolutions, ReLU6, bilinear resizing, additions.
"""

from pathlib import Path
from typing import Any

import keras

DEEPEST = "b11_expand_relu"
SKIPS = (("b5_expand_relu", 64), ("b3_expand_relu", 48), ("b1_expand_relu", 32))
"""The last layer before each halving of the picture, and the decoder's width there: strides 8, 4 and 2."""


def build(backbone: Path, labels: int) -> Any:
    """Input (n, h, w, 3), any multiple of 16, as `(pixel - 127) / 128`; output `logits` (n, h / 2, w / 2, labels)."""
    source = keras.models.load_model(backbone)
    cut = keras.Model(source.input, [source.get_layer(name).output for name in (*dict(SKIPS), DEEPEST)])
    encoder = keras.models.clone_model(cut, input_tensors=keras.Input((None, None, 3), name="pixels"))
    for layer in encoder.layers:
        if layer.get_weights():
            layer.set_weights(source.get_layer(layer.name).get_weights())
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # batches are too small for new statistics
    *skips, x = encoder.outputs
    x = keras.layers.Conv2D(96, 1, activation="relu6", name="bridge")(x)
    for skip, (name, width) in zip(skips, SKIPS, strict=True):
        x = _up(x, skip, width, name.partition("_")[0])
    logits = keras.layers.Conv2D(labels, 1, name="logits")(x)
    return keras.Model(encoder.input, {"logits": logits})


def _up(x: Any, skip: Any, width: int, name: str) -> Any:
    x = keras.layers.Conv2D(width, 1, name=f"{name}_narrow")(x)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(x)
    side = keras.layers.Conv2D(width, 1, name=f"{name}_skip")(skip)
    x = keras.layers.ReLU(6.0, name=f"{name}_join_relu")(keras.layers.Add(name=f"{name}_join")([x, side]))
    x = keras.layers.DepthwiseConv2D(3, padding="same", name=f"{name}_mix_dw")(x)
    return keras.layers.Conv2D(width, 1, activation="relu6", name=f"{name}_mix")(x)


class CrossEntropyWithDice(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Weighted cross-entropy plus the soft Dice loss of crop and weed over the batch.

    Weeds are a few per cent of the pixels: cross-entropy alone gives them up (Milletari et al., 2016, for Dice).
    Truth: one-hot (n, h, w, labels); logits of the same shape.
    """

    def __init__(self, weights: tuple[float, ...] = (1.0, 1.0, 2.0)) -> None:
        super().__init__(name="cross_entropy_with_dice")
        self._weights = weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        weight = ops.sum(y_true * ops.convert_to_tensor(self._weights), axis=-1)
        entropy = ops.mean(weight * keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True))
        share = ops.softmax(y_pred)
        overlap = ops.sum(share * y_true, axis=(0, 1, 2))[1:]
        total = ops.sum(share + y_true, axis=(0, 1, 2))[1:]
        return entropy + 1 - ops.mean((2 * overlap + 50.0) / (total + 50.0))
