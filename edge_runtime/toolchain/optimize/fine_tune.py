"""A few epochs for a model of tf_keras whose weights are good already. Imports TensorFlow."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tf_keras

from edge_runtime.toolchain.optimize.pictures import TrainingPictures
from edge_runtime.toolchain.optimize.plan import LEARNING_RATE, steps_of


def fine_tune(model: Any, pictures: TrainingPictures, *, from_logits: bool, epochs: int, what: str,
              say: Callable[[str], None], callbacks: Sequence[Any] = ()) -> None:
    """Trains the model in place, and says a line for each epoch. Raises ValueError where the loss is no number any more."""
    model.compile(
        tf_keras.optimizers.Adam(LEARNING_RATE), tf_keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"],
    )
    progress = _Progress(what, epochs, say)
    model.fit(
        _Batches(pictures), epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, progress],
    )
    if not np.isfinite(progress.loss):
        raise ValueError(f"fine-tuning for {what} failed: the loss is {progress.loss}")


class _Batches(tf_keras.utils.Sequence):  # type: ignore[misc]  # tf_keras ships no types
    """Batches by number; Keras asks for them in order and says where an epoch ends."""

    def __init__(self, pictures: TrainingPictures) -> None:
        super().__init__()
        self._pictures, self._epoch = pictures, 0
        self._orders = pictures.orders(0)

    def __len__(self) -> int:
        return steps_of(len(self._pictures))

    def __getitem__(self, step: int) -> Any:
        return self._pictures.batch(self._orders[step])

    def on_epoch_end(self) -> None:
        self._epoch += 1
        self._orders = self._pictures.orders(self._epoch)


class _Progress(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras ships no types
    """Says a line an epoch."""

    def __init__(self, what: str, epochs: int, say: Callable[[str], None]) -> None:
        super().__init__()
        self._what, self._epochs, self._say = what, epochs, say
        self._started = 0.0
        self.loss = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras names it
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.loss = float(logs["loss"])
        self._say(f"{self._what}: epoch {epoch + 1} of {self._epochs}, loss {self.loss:.3f}, "
                  f"{logs['accuracy']:.1%} right, {time.monotonic() - self._started:.0f} s")
