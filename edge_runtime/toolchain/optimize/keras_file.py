"""Opens the trained model's file, and finds out what kind of classifier it is. Imports TensorFlow.

`.keras` archives and `.h5` files of Keras 3 are opened by Keras 3, those of Keras 2 by tf_keras. Neither may hold Python code:
a Lambda layer carries some, which would be run by opening it.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from edge_runtime.toolchain.optimize.graph import Graph, read_graph
from edge_runtime.toolchain.optimize.keras_v2 import build, check_same

LOGITS, PROBABILITIES = "logits", "probabilities"
_PASSES_ON = ("Flatten", "Reshape", "Dropout")
_TRIED_ON = 8


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained model. `output` is LOGITS or PROBABILITIES; `keras`: 2 or 3. `scales_itself`: its first layer turns pixels
    into the network's numbers.
    """

    model: Any
    keras: int
    output: str
    parameters: int
    scales_itself: bool

    def answer(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (n, labels) for real values (n, height, width, channels)."""
        return np.asarray(self.model(pictures, training=False), np.float32)

    def translated(self, pictures: NDArray[np.float32]) -> Graph:
        """The model as a graph of which `build` makes the same model in Keras 2, tried on some of the pictures. Raises
        NotTranslatable.
        """
        graph = read_graph(self.model)
        tried = pictures[:_TRIED_ON]
        check_same(build(graph, pictures.shape[1:]), self.answer(tried), tried)
        return graph


def open_classifier(path: Path, shape: tuple[int, int, int], labels: int) -> Classifier:
    """The model in `path`, for pictures of `shape` (height, width, channels). Raises ValueError, naming the file, where it
    can't be opened, or is no classifier of such pictures with so many labels.
    """
    generation, config = _read_config(path)
    names = [entry["config"].get("name", "?") for entry in _entries(config) if entry["class_name"] == "Lambda"]
    if names:
        raise ValueError(f"{path.name}: the layer {names[0]!r} is a Lambda, which carries Python code: a file with code in it "
                         "is not opened. Put a layer of Keras in its place")
    model = _load(path, generation)
    try:
        output = _check(model, shape, labels)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    first = next((layer for layer in model.layers if type(layer).__name__ != "InputLayer"), None)
    return Classifier(model, generation, output, int(model.count_params()),
                      type(first).__name__ in {"Rescaling", "Normalization"})


def _read_config(path: Path) -> tuple[int, Any]:
    """The generation of Keras that wrote the file, and the model's configuration."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json"))["keras_version"]
                return _generation(version), json.loads(archive.read("config.json"))
        with h5py.File(path) as file:
            if "model_config" not in file.attrs:
                raise ValueError(f"{path.name} holds weights alone, or no Keras model: it must be written by model.save(...)")
            version = file.attrs.get("keras_version") or file["model_weights"].attrs["keras_version"]
            return _generation(_text(version)), json.loads(_text(file.attrs["model_config"]))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is not there") from error
    except IsADirectoryError as error:
        raise ValueError(f"{path} is a folder; it must be a .keras or .h5 file") from error
    except (OSError, KeyError, json.JSONDecodeError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} is no .keras or .h5 file of a Keras model, or not the whole of one") from error


def _generation(version: str) -> int:
    return 2 if version.split(".", maxsplit=1)[0] in {"1", "2"} else 3


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of a configuration that has a class, at any depth."""
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict) and "class_name" in config:
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _load(path: Path, generation: int) -> Any:
    try:
        if generation == 2:
            import tf_keras

            return tf_keras.models.load_model(path, compile=False)
        import keras

        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        why = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path.name} can't be opened by Keras {generation}: {why}") from error


def _check(model: Any, shape: tuple[int, int, int], labels: int) -> str:
    """What the model's output is called. Raises ValueError."""
    if not hasattr(model, "inputs") or not model.inputs or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("it must be a built model with one input and one output")
    wanted = tuple(model.inputs[0].shape)
    if len(wanted) != 4 or any(size not in {None, given} for size, given in zip(wanted[1:], shape, strict=True)):
        raise ValueError(f"the model takes pictures {_shape(wanted[1:])}, the data set's are {_shape(shape)}")
    answers = np.asarray(model(np.zeros((1, *shape), np.float32), training=False))
    if answers.shape != (1, labels):
        raise ValueError(f"the model answers {_shape(answers.shape[1:])} scores, the data set has {labels} labels")
    activation = _last_activation(model)
    if activation not in {"linear", "softmax"}:
        raise ValueError(f"the model ends in {activation!r}; only classification with softmax or logits at the end can be "
                         "fine-tuned")
    return PROBABILITIES if activation == "softmax" else LOGITS


def _last_activation(model: Any) -> str:
    for layer in reversed(model.layers):
        kind = type(layer).__name__
        if kind in {"Functional", "Sequential"}:
            return _last_activation(layer)
        if kind == "Softmax":
            return "softmax"
        if kind in _PASSES_ON:
            continue
        activation = getattr(layer, "activation", None)
        return getattr(activation, "__name__", kind) if activation is not None else _plain(kind)
    return "linear"


def _plain(kind: str) -> str:
    """Layers without an activation answer any number, but those that are one."""
    return kind if kind.endswith("ReLU") or kind in {"ELU", "Lambda"} else "linear"


def _shape(sizes: tuple[int | None, ...]) -> str:
    return "x".join("any" if size is None else str(size) for size in sizes)
