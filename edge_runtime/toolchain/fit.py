"""Fits a recipe's network: seeded, progress shown, and taken up again where a stop left it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from domains.core.training import Recipe

BACKBONE = Path("backbones") / "efficientnet_lite0_imagenet.keras"
WARM_UP_SHARE = 0.05
WEIGHTS = "trained.weights.h5"
FIT_RECORD = "fit.json"


def run_folder(work: Path, recipe: Recipe, seed: int, epochs: int) -> Path:
    """Where the backups and finished weights of one run lie."""
    return work / f"{recipe.identity.name}-{seed}-{epochs}"


def fit(recipe: Recipe, data: Path, work: Path, *, seed: int, epochs: int, say: Callable[[str], None]) -> Any:
    """The trained Keras model. `work` keeps a backup after each epoch, and the finished weights.

    A stopped run goes on from its last whole epoch with the same batches as an unbroken one. Finished weights of the
    same seed and numbers of epochs and runs are taken as they are, and what the recipe sets without gradients is set anew. A recipe of several
    `runs` is trained as often, each time from the same start with other batches; the mean of their weights is the model.
    """
    keras.utils.clear_session()  # else a file holds how many models were made in the process before it, in its names
    keras.utils.set_random_seed(seed)
    model = recipe.build(data / BACKBONE)
    name = recipe.identity.name
    done = run_folder(work, recipe, seed, epochs)
    done.mkdir(parents=True, exist_ok=True)
    if (done / WEIGHTS).is_file() and json.loads((done / FIT_RECORD).read_text(encoding="utf-8")).get("runs") == recipe.runs:
        model.load_weights(done / WEIGHTS)
        say(f"{name}: finished weights found in {done.name}")
    else:
        _fit_all(model, recipe, data, done, seed=seed, epochs=epochs, say=say)
    recipe.finish(model, data)
    return model


def _fit_all(model: Any, recipe: Recipe, data: Path, done: Path, *, seed: int, epochs: int, say: Callable[[str], None]) -> None:
    """Gives the model the mean weights of all runs, and keeps them in `done`."""
    start = model.get_weights()
    means: list[Any] = []
    seconds = 0
    for number in range(recipe.runs):
        model.set_weights(start)
        seconds += _run(model, recipe, data, done / f"run-{number}", seed=seed + number, epochs=epochs, say=say)
        share = [weight / recipe.runs for weight in model.get_weights()]
        means = [mean + weight for mean, weight in zip(means, share, strict=True)] if means else share
    model.set_weights(means)
    (done / WEIGHTS).unlink(missing_ok=True)  # those of another number of runs: the record beside them is about to change
    (done / FIT_RECORD).write_text(json.dumps({"seconds": seconds, "cores": os.cpu_count(), "runs": recipe.runs}), encoding="utf-8")
    model.save_weights(done / WEIGHTS)


def _run(model: Any, recipe: Recipe, data: Path, folder: Path, *, seed: int, epochs: int, say: Callable[[str], None]) -> int:
    """Trains the model, or gives it the weights of a run that is finished. Gives the seconds that it took, since the last stop."""
    if (folder / WEIGHTS).is_file():
        model.load_weights(folder / WEIGHTS)
        return int(json.loads((folder / FIT_RECORD).read_text(encoding="utf-8"))["seconds"])
    folder.mkdir(exist_ok=True)
    batches = recipe.batches(data, seed)
    trained = _trained(model, recipe, len(batches) * epochs)
    started = time.monotonic()
    said = recipe.identity.name if recipe.runs == 1 else f"{recipe.identity.name}, {folder.name}"
    trained.fit(
        batches, epochs=epochs, verbose=0, shuffle=False,
        callbacks=[keras.callbacks.BackupAndRestore(folder / "backup"), _Progress(said, batches, epochs, seed, say)],
    )
    seconds = round(time.monotonic() - started)
    (folder / FIT_RECORD).write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
    model.save_weights(folder / WEIGHTS)
    return seconds


def _trained(model: Any, recipe: Recipe, steps: int) -> Any:
    """The model with the outputs that have a loss, compiled; a single one is plain, not in a dict."""
    losses = dict(recipe.loss())
    optimizer = _optimizer(recipe.learning_rate, steps)
    if len(losses) == 1:
        ((output, loss),) = losses.items()
        trained = keras.Model(model.input, model.output[output])
        trained.compile(optimizer, loss)
        return trained
    trained = keras.Model(model.input, {output: model.output[output] for output in losses})
    trained.compile(optimizer, losses, loss_weights=dict(recipe.loss_weights()))
    return trained


def _optimizer(peak: float, steps: int) -> Any:
    warm_up = max(1, int(steps * WARM_UP_SHARE))
    schedule = keras.optimizers.schedules.CosineDecay(
        peak / 100, steps - warm_up, warmup_target=peak, warmup_steps=warm_up)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-2, use_ema=True, ema_momentum=0.99)


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Says one line an epoch, and tells the batches which epoch they are for."""

    def __init__(self, name: str, batches: Any, epochs: int, seed: int, say: Callable[[str], None]) -> None:
        super().__init__()
        self._name, self._batches, self._epochs, self._seed, self._say = name, batches, epochs, seed, say
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras names it
        self._batches.epoch = epoch
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                # A backup doesn't hold the state of dropout: a resumed run would draw other masks than a whole one.
                layer.seed_generator.state.assign([self._seed, epoch])
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self._started
        self._say(f"{self._name}: epoch {epoch + 1} of {self._epochs}, loss {(logs or {})['loss']:.3f}, {seconds:.0f} s")
