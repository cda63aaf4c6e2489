"""The segmentation network: EfficientNet-Lite0 up to stride 16, a light decoder with skips back to stride 2, and from its stride
of 4 on a branch that says where each plant's centre is and how far each cell is from its own (Cheng et al., 2020).

Every operation maps to the Edge TPU: convolutions, depthwise convolutions, ReLU6, bilinear resizing, additions, means.
"""

from pathlib import Path
from typing import Any

import keras

DEEPEST = "b11_expand_relu"
SKIPS = (("b5_expand_relu", 64), ("b3_expand_relu", 48), ("b1_expand_relu", 32))
"""The last layer before each halving of the picture, and the decoder's width there: strides 8, 4 and 2."""
KEPT_UP_TO = "b4_add"
"""The layers up to this one stay as ImageNet left them: edges and textures are the same here, and a step costs less."""
PLANTS_FROM = "b3_expand_relu"
"""The skip after which centres and offsets branch off."""
POOLED, GATE = "pooled", "familiarity_projection"
FAMILIARITY = 48
"""How many numbers say how far a picture's features are from those of the training photos."""


def build(backbone: Path, labels: int) -> Any:
    """Input (n, h, w, 3), any multiple of 16, as `(pixel - 127) / 128`; outputs `logits` (n, h / 2, w / 2, labels), `centres`
    (n, h / 2, w / 2, 1), `offsets` (n, h / 2, w / 2, 2) and `familiarity` (n, FAMILIARITY), which isn't trained with them.
    """
    source = keras.models.load_model(backbone)
    cut = keras.Model(source.input, [source.get_layer(name).output for name in (*dict(SKIPS), DEEPEST)])
    encoder = keras.models.clone_model(cut, input_tensors=keras.Input((None, None, 3), name="pixels"))
    edges = True
    for layer in encoder.layers:
        if layer.get_weights():
            layer.set_weights(source.get_layer(layer.name).get_weights())
        if edges or isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False  # batches are too small for new statistics
        edges = edges and layer.name != KEPT_UP_TO
    *skips, x = encoder.outputs
    x = keras.layers.Conv2D(96, 1, activation="relu6", name="bridge")(x)
    for skip, (name, width) in zip(skips, SKIPS, strict=True):
        x = _up(x, skip, width, name.partition("_")[0])
        if name == PLANTS_FROM:
            plants = x
    logits = keras.layers.Conv2D(labels, 1, name="logits")(x)
    centres, offsets = _plants(plants)
    return keras.Model(encoder.input, {"logits": logits, "centres": centres, "offsets": offsets,
                                       "familiarity": _familiarity(encoder.outputs[-1])})


def _plants(x: Any) -> tuple[Any, Any]:
    width = x.shape[-1]
    for step in range(2):
        x = keras.layers.DepthwiseConv2D(5, padding="same", name=f"plants_{step}_dw")(x)
        x = keras.layers.Conv2D(width, 1, activation="relu6", name=f"plants_{step}")(x)
    heads = [keras.layers.Conv2D(channels, 1, name=f"{name}_head")(x) for name, channels in (("centres", 1), ("offsets", 2))]
    centres, offsets = (keras.layers.UpSampling2D(2, interpolation="bilinear", name=name)(head)
                        for name, head in zip(("centres", "offsets"), heads, strict=True))
    return centres, offsets


def _familiarity(features: Any) -> Any:
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name=POOLED)(features)
    x = keras.layers.Conv2D(FAMILIARITY, 1, name=GATE, trainable=False)(x)
    return keras.layers.Reshape((FAMILIARITY,), name="familiarity")(x)


def _up(x: Any, skip: Any, width: int, name: str) -> Any:
    x = keras.layers.Conv2D(width, 1, name=f"{name}_narrow")(x)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(x)
    side = keras.layers.Conv2D(width, 1, name=f"{name}_skip")(skip)
    x = keras.layers.ReLU(6.0, name=f"{name}_join_relu")(keras.layers.Add(name=f"{name}_join")([x, side]))
    x = keras.layers.DepthwiseConv2D(3, padding="same", name=f"{name}_mix_dw")(x)
    return keras.layers.Conv2D(width, 1, activation="relu6", name=f"{name}_mix")(x)
