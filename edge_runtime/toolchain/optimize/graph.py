"""A Keras model's configuration as a flat list of layers, whichever Keras wrote it. No TensorFlow here.

Keras 2 and Keras 3 tell connections in forms of their own, and models may lie inside models; tfmot takes neither Keras 3 nor
models inside models. Of Keras 3, `x + y` is an operation called `Add`, told apart from the layer only by its arguments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MODELS = frozenset({"Functional", "Model", "Sequential"})
_ONLY_IN_TRAINING = frozenset({
    "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop",
    "GaussianNoise", "GaussianDropout", "ActivityRegularization", "Identity",
})
"""Layers that pass their input on as it is when the model answers."""


class NotTranslatable(ValueError):
    """What of the model Keras 2 can't express, in a Keras user's words."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with its weights in Keras's order. `is_frozen`: it answers as it is, even while the model is trained."""

    name: str
    kind: str
    config: Mapping[str, Any]
    weights: tuple[NDArray[Any], ...]
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A layer applied to the results of earlier calls; -1 is the model's input."""

    layer: str
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """`calls` in an order in which they can be made; `output` is one of them."""

    layers: Mapping[str, Layer]
    calls: tuple[Call, ...]
    output: int


def read_graph(model: Any) -> Graph:
    """The graph of a Sequential or Functional model of either Keras with one input and one output. Raises NotTranslatable."""
    reader = _Reader()
    outputs = reader.model(model, [-1], "", is_frozen=False)
    if len(outputs) != 1:
        raise NotTranslatable(f"the model has {len(outputs)} outputs")
    return Graph(reader.layers, tuple(reader.calls), outputs[0])


@dataclass(slots=True)
class _Reader:
    layers: dict[str, Layer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def model(self, model: Any, inputs: list[int], prefix: str, *, is_frozen: bool) -> list[int]:
        """Reads a model applied to `inputs`; gives its outputs."""
        kind = type(model).__name__
        if kind not in _MODELS:
            raise NotTranslatable(f"{model.name!r} ({kind}) is neither a Sequential nor a Functional model")
        config = model.get_config()
        objects = {layer.name: layer for layer in model.layers}
        if kind == "Sequential":
            for entry in config["layers"]:
                if entry["class_name"] != "InputLayer":
                    inputs = self.layer(entry, objects, inputs, prefix, is_frozen=is_frozen)
            return inputs
        return self._functional(config, objects, inputs, prefix, is_frozen=is_frozen)

    def _functional(self, config: Mapping[str, Any], objects: Mapping[str, Any], inputs: list[int], prefix: str, *,
                    is_frozen: bool) -> list[int]:
        made: dict[tuple[str, int], list[int]] = {}
        for (name, _, _), value in zip(_places(config["input_layers"]), inputs, strict=True):
            made[name, 0] = [value]
        waiting = [
            (entry, number, node)
            for entry in config["layers"] if entry["class_name"] != "InputLayer"
            for number, node in enumerate(entry["inbound_nodes"])
        ]
        names = {id(entry): entry.get("name") or entry["config"]["name"] for entry, _, _ in waiting}
        while waiting:
            left = []
            for entry, number, node in waiting:
                name = names[id(entry)]
                sources, options = _sources(node, name)
                if any(made.get((source, at)) is None for source, at, _ in sources):
                    left.append((entry, number, node))
                    continue
                given = [made[source, at][which] for source, at, which in sources]
                still = is_frozen or options.get("training") is False
                made[name, number] = self.layer(entry, objects, given, prefix, is_frozen=still)
            if len(left) == len(waiting):
                raise NotTranslatable(f"the inputs of the layer {names[id(left[0][0])]!r} can't be found in the model")
            waiting = left
        return [made[name, number][which] for name, number, which in _places(config["output_layers"])]

    def layer(self, entry: Mapping[str, Any], objects: Mapping[str, Any], inputs: list[int], prefix: str, *,
              is_frozen: bool) -> list[int]:
        kind, config = entry["class_name"], entry["config"]
        name = entry.get("name") or config["name"]
        if kind in _MODELS:
            return self.model(objects[name], inputs, f"{prefix}{name}_", is_frozen=is_frozen)
        if kind in _ONLY_IN_TRAINING:
            return inputs
        known = f"{prefix}{name}"
        if known not in self.layers:
            weights = tuple(np.asarray(weight) for weight in objects[name].get_weights()) if name in objects else ()
            frozen = is_frozen or not getattr(objects.get(name), "trainable", True)
            self.layers[known] = Layer(known, kind, config, weights, frozen)
        elif is_frozen:
            self.layers[known] = replace(self.layers[known], is_frozen=True)
        self.calls.append(Call(known, tuple(inputs)))
        return [len(self.calls) - 1]


def _places(entries: Any) -> Iterator[tuple[Any, ...]]:
    """Ends of a model: one place, a list of places or, from named outputs, a dict of them."""
    if isinstance(entries, Mapping):
        entries = list(entries.values())
    if entries and isinstance(entries[0], str):
        entries = [entries]
    yield from map(tuple, entries)


def _sources(node: Any, layer: str) -> tuple[list[tuple[str, int, int]], Mapping[str, Any]]:
    """From where a call takes its inputs, and its further arguments."""
    if isinstance(node, Mapping):
        options = {key: value for key, value in node["kwargs"].items() if value is not None and key != "mask"}
        return list(_tensors(node["args"], layer)), _only_training(options, layer)
    entries = [node] if node and isinstance(node[0], str) else node
    options = {key: value for entry in entries for key, value in (entry[3] if len(entry) > 3 else {}).items() if value is not None}
    return [(entry[0], entry[1], entry[2]) for entry in entries], _only_training(options, layer)


def _only_training(options: Mapping[str, Any], layer: str) -> Mapping[str, Any]:
    if others := set(options) - {"training"}:
        raise NotTranslatable(f"the layer {layer!r} is called with {', '.join(sorted(others))}")
    return options


def _tensors(arguments: Sequence[Any], layer: str) -> Iterator[tuple[str, int, int]]:
    for argument in arguments:
        if isinstance(argument, list | tuple):
            yield from _tensors(argument, layer)
        elif isinstance(argument, Mapping) and argument.get("class_name") == "__keras_tensor__":
            name, number, which = argument["config"]["keras_history"]
            yield name, number, which
        else:
            raise NotTranslatable(f"the operation {layer!r} takes the constant {argument!r}, which only Keras 3 can hold")
