"""The losses of the three trained outputs. Truths as `batches` gives them."""

from typing import Any

import keras

LABEL_WEIGHTS = (1.0, 1.0, 2.0, 1.0)
"""Of soil, crop, weed and a plant that is one of both."""
DICE_SMOOTHING = 50.0


class CrossEntropyWithDice(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Weighted cross-entropy plus the soft Dice loss of crop and weed over the batch.

    Weeds are a few per cent of the pixels: cross-entropy alone gives them up (Milletari et al., 2016, for Dice). Where the
    truth says only that there is a plant, any plant will do.
    """

    def __init__(self) -> None:
        super().__init__(name="cross_entropy_with_dice")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        share = ops.log_softmax(y_pred)
        plant = ops.logsumexp(share[..., 1:], axis=-1, keepdims=True)
        likelihood = ops.sum(y_true * ops.convert_to_tensor(LABEL_WEIGHTS) * ops.concatenate([share, plant], axis=-1), axis=-1)
        named = y_true[..., :-1]
        found = ops.exp(share) * (1 - y_true[..., -1:])
        overlap = ops.sum(found * named, axis=(0, 1, 2))[1:]
        total = ops.sum(found + named, axis=(0, 1, 2))[1:]
        return 1 - ops.mean(likelihood) - ops.mean((2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING))


class CentreLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Squared error against the bells, where the middle of a bell weighs ten times as much as the ground."""

    def __init__(self) -> None:
        super().__init__(name="centre")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        bell, weight = y_true[..., :1], y_true[..., 1:]
        return keras.ops.mean((1 + 9 * bell) * weight * (y_pred - bell) ** 2)


class OffsetLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Mean distance, along x plus along y, over the cells that belong to a plant."""

    def __init__(self) -> None:
        super().__init__(name="offset")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops = keras.ops
        weight = y_true[..., 2:]
        return ops.sum(weight * ops.abs(y_pred - y_true[..., :2])) / (ops.sum(weight) + 1)
