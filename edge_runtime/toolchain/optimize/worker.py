"""The process that makes one variant: `python -P -m edge_runtime.toolchain.optimize.worker JOB`, with TF_USE_LEGACY_KERAS=1.

Messages go to standard output, one JSON a line; all that libraries print goes to standard error.
"""

import os
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import tensorflow as tf
import tf_keras

from domains.core import InputSpec
from edge_runtime.toolchain.convert import save, to_tflite
from edge_runtime.toolchain.dataset import load_dataset
from edge_runtime.toolchain.optimize.fine_tune import fine_tune
from edge_runtime.toolchain.optimize.fold import fold_batch_normalisation
from edge_runtime.toolchain.optimize.graph import Graph, NotTranslatable
from edge_runtime.toolchain.optimize.job import Job, Look, Looked, Made, Make, Message, NotMade, Said
from edge_runtime.toolchain.optimize.keras_file import Classifier, open_classifier
from edge_runtime.toolchain.optimize.keras_v2 import build
from edge_runtime.toolchain.optimize.pictures import TrainingPictures
from edge_runtime.toolchain.optimize.plan import PLAN, Base, Variant, steps_of
from edge_runtime.toolchain.optimize.proof import check_values, check_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE = 1000
_STATUS = Path("/proc/self/status")


def look(job: Look) -> Looked:
    """Opens model and data. Raises ValueError, naming the file, where something is wrong with them."""
    data = load_dataset(Path(job.data))
    classifier = open_classifier(Path(job.model), data.picture_shape, len(data.labels))
    mean, std = (0.0, 1.0) if classifier.scales_itself else (None, None)
    mean, std = mean if job.mean is None else job.mean, std if job.std is None else job.std
    if mean is None or std is None:
        raise ValueError("the numbers that the model was trained on must be told: (pixel - mean) / std, so --mean 0 --std 255 "
                         "where pixels were divided by 255, --mean 127.5 --std 127.5 where they became -1 to 1")
    height, width, channels = data.picture_shape
    pictures = TrainingPictures(data.train, InputSpec(height, width, mean, std, channels), job.seed)
    numbers, truth = pictures.sample(_SAMPLE)
    answered = np.concatenate([classifier.answer(numbers[at : at + 50]) for at in range(0, len(numbers), 50)])
    try:
        classifier.translated(numbers)
        no_tfmot = ""
    except NotTranslatable as error:
        no_tfmot = str(error)
    return Looked(classifier.parameters, classifier.keras, classifier.output, mean, std, no_tfmot,
                  int((answered.argmax(axis=1) == truth).sum()), len(truth))


class Maker:
    """Makes one variant of one model."""

    def __init__(self, job: Make, say: Callable[[str], None]) -> None:
        self._job, self._say = job, say
        data = load_dataset(Path(job.data))
        height, width, channels = data.picture_shape
        self._spec = InputSpec(height, width, job.mean, job.std, channels)
        self._pixels = data.train.images.dtype == np.uint8
        self._pictures = TrainingPictures(data.train, self._spec, job.seed)
        self._classifier: Classifier = open_classifier(Path(job.model), data.picture_shape, len(data.labels))

    def make(self, variant: Variant, out: Path) -> str:
        """Writes the file; says what was counted in it. Raises ValueError where the variant can't be made."""
        if not variant.needs_tfmot:
            self._write(self._classifier.model, variant, out)
            return ""
        model, kernels = self._based(variant.base)
        if variant.qat:
            from edge_runtime.toolchain.optimize.techniques import train_quantised

            model = train_quantised(model, self._spec, self._tuned(self._job.variant), pixels=self._pixels,
                                    keeps_zeros=variant.base is not None)
        self._write(model, variant, out)
        if variant.base is None:
            return ""
        if variant.base.kind == "pruned":
            return check_zeros(out, kernels)
        return check_values(out, kernels, int(variant.base.amount))

    def _based(self, base: Base | None) -> "tuple[Any, list[NDArray[np.float32]]]":
        """A fresh model with the base's weights, and its kernels that were pruned or clustered."""
        graph = self._classifier.translated(self._pictures.sample(_SAMPLE)[0])
        if base is None:
            return build(graph, self._spec.shape[1:]), []
        if base.kind == "clustered":
            graph = fold_batch_normalisation(graph)
        from edge_runtime.toolchain.optimize.techniques import kernel_of

        kept = Path(self._job.weights) / f"{base.name}.npz"
        model = build(graph, self._spec.shape[1:])
        names = _restore(model, kept)
        if names is None:
            names = self._tune_base(base, graph, kept)
            _restore(model, kept)
        else:
            self._say(f"{self._job.variant}: the weights of {base.name} were found")
        return model, [kernel_of(model.get_layer(name)) for name in names]

    def _tune_base(self, base: Base, graph: Graph, kept: Path) -> list[str]:
        from edge_runtime.toolchain.optimize.techniques import cluster, prune

        model = build(graph, self._spec.shape[1:])
        if base.kind == "pruned":
            steps = steps_of(len(self._pictures)) * self._job.epochs
            model, names = prune(model, base.amount, steps, self._tuned(base.name))
        else:
            model, names = cluster(model, int(base.amount), self._tuned(base.name))
        _keep(model, names, kept)
        return names

    def _tuned(self, what: str) -> Callable[[Any, list[Any]], None]:
        def tune(model: Any, callbacks: list[Any]) -> None:
            fine_tune(model, self._pictures, from_logits=self._classifier.output == "logits", epochs=self._job.epochs,
                      what=what, say=self._say, callbacks=callbacks)

        return tune

    def _write(self, model: Any, variant: Variant, out: Path) -> None:
        self._say(f"{self._job.variant}: converting")
        ranges = self._pictures.representative() if variant.form == "int8" and not variant.qat else None
        with tempfile.TemporaryDirectory() as saved:
            save(model, self._spec, saved, self._classifier.output)
            out.write_bytes(to_tflite(saved, variant.form, self._spec, ranges))


def _keep(model: Any, names: list[str], path: Path) -> None:
    arrays = {f"{layer.name}|{place}": weight for layer in model.layers for place, weight in enumerate(layer.get_weights())}
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, names=np.array(names), **arrays)
    part.replace(path)


def _restore(model: Any, path: Path) -> list[str] | None:
    """Gives the model the weights that were kept; None where there are none."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        for layer in model.layers:
            layer.set_weights([arrays[f"{layer.name}|{place}"] for place in range(len(layer.get_weights()))])
        return [str(name) for name in arrays["names"]]


def _peak_bytes() -> int:
    """The greatest memory since this program began: `ru_maxrss` counts the one that started it in."""
    if _STATUS.is_file():
        peak = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run(job: Job, say: Callable[[str], None]) -> Message:
    """Does the job. Never raises for what is wrong with model or data."""
    tf_keras.utils.set_random_seed(job.seed)
    tf.config.experimental.enable_op_determinism()
    try:
        if isinstance(job, Look):
            return look(job)
        proof = Maker(job, say).make(PLAN[job.variant], Path(job.out))
        return Made(_peak_bytes(), proof)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        return NotMade("the memory of this machine wasn't enough")
    except ValueError as error:
        return NotMade(str(error))


def main() -> None:
    """Reads the job from the command line, and tells how it went."""
    with os.fdopen(os.dup(1), "wb", buffering=0) as messages:
        os.dup2(2, 1)

        def tell(message: Message) -> None:
            messages.write(msgspec.json.encode(message) + b"\n")

        tell(run(msgspec.json.decode(sys.argv[1], type=Job), lambda line: tell(Said(line))))


if __name__ == "__main__":
    main()
