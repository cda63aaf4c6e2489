"""Trains the network of the case study as its author would: Keras, Adam, `model.save`. Imports TensorFlow when it trains."""

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from domains.house_numbers.training import RECIPES
from edge_runtime.models import sha256_of

NAME = RECIPES[0].identity.name
MODEL, LEGACY, RECORD = f"{NAME}.keras", f"{NAME}.h5", "training.json"

Say = Callable[[str], None]


def train(data: Path, digits: Path, out: Path, *, seed: int, epochs: int, say: Say) -> dict[str, Any]:
    """Writes the trained model into `out` as `.keras` and, with the optimiser's state, as `.h5`. Gives what it took.

    A finished training with the same digits, seed and epochs is taken as it is; a stopped one goes on from its last epoch.
    """
    wanted: dict[str, Any] = {"digits_sha256": sha256_of(digits), "seed": seed, "epochs": epochs}
    kept = _finished(out, wanted)
    if kept is not None:
        say(f"train: finished before, taken from {out / MODEL}")
        return kept
    started = time.monotonic()
    model = _fit(data, out / "work" / f"training-{wanted['digits_sha256'][:16]}-{seed}-{epochs}", seed, epochs, say)
    model.save(out / MODEL)
    model.save(out / LEGACY, include_optimizer=True)
    record = {
        **wanted, "parameters": int(model.count_params()), "sha256": sha256_of(out / MODEL),
        "keras_bytes": (out / MODEL).stat().st_size, "h5_bytes": (out / LEGACY).stat().st_size,
        "train_accuracy": _accuracy(model, digits, "train"), "seconds": round(time.monotonic() - started, 1),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "cores": os.cpu_count(),
    }
    part = out / f"{RECORD}.part"
    part.write_text(json.dumps(record, indent=2), encoding="utf-8")
    part.replace(out / RECORD)
    say(f"train: {out / MODEL} and {out / LEGACY}, {record['seconds']:.0f} s")
    return record


def _finished(out: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    try:
        kept: dict[str, Any] = json.loads((out / RECORD).read_text(encoding="utf-8"))
        whole = sha256_of(out / MODEL) == kept["sha256"] and (out / LEGACY).is_file()
    except (OSError, ValueError, KeyError):
        return None
    return kept if whole and all(kept[name] == value for name, value in wanted.items()) else None


def _fit(data: Path, work: Path, seed: int, epochs: int, say: Say) -> Any:
    import keras
    import tensorflow as tf

    from domains.house_numbers.training.network import published

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    recipe = RECIPES[0]
    batches = recipe.batches(data, seed)
    model = published()
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, epochs * len(batches))
    model.compile(keras.optimizers.Adam(schedule), keras.losses.CategoricalCrossentropy(label_smoothing=0.05))
    work.mkdir(parents=True, exist_ok=True)

    class Progress(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
        """Tells the batches which epoch they are for, and says a line every ten."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras names it
            batches.epoch = epoch

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
                say(f"train: epoch {epoch + 1} of {epochs}, loss {(logs or {})['loss']:.3f}")

    model.fit(batches, epochs=epochs, verbose=0, shuffle=False,
              callbacks=[keras.callbacks.BackupAndRestore(work / "backup"), Progress()])
    return model


def _accuracy(model: Any, digits: Path, half: str) -> float:
    spec = RECIPES[0].identity.input
    with np.load(digits, allow_pickle=False) as arrays:
        images, truth = arrays[f"{half}_images"], arrays[f"{half}_labels"]
    real = (images.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)
    return round(float((np.asarray(model.predict(real, verbose=0)).argmax(axis=1) == truth).mean()), 4)
