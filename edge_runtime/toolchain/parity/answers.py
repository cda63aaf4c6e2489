"""What one side decides of one input, from its output tensors or from its domain's result, and how far two of them differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domains.core import Classification, Result, Segmentation
from domains.core.gate import FAMILIARITY
from edge_runtime.toolchain.interpret import End
from edge_runtime.toolchain.parity.report import Answer

Reals = NDArray[np.float32]
REFUSED = "refused as foreign"
ABSTENTION, GATE = "abstention", "gate"
"""Parts of a domain's answer."""
LABEL, MAP, VALUE = "label", "map", "value"
_YES_NO = ("no", "yes")


@dataclass(frozen=True, slots=True)
class Question:
    """Which output decides, and how. `classes`: of how many; 0 where there is no decision."""

    kind: str
    output: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """`classes`: index of the label, or of each pixel's; empty where nothing is decided, as of a picture that is refused as foreign.
    `values`: probabilities of the labels where there are some, else the output. `parts`: the rest of a domain's answer by name.
    """

    answer: Answer
    classes: NDArray[np.int64]
    values: Reals
    parts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two answers to one input: counts by A's and B's label, share that agrees, distance 0 to 1, and the names of the parts
    that differ.
    """

    confusion: NDArray[np.int64]
    agree: float
    distance: float
    parts: tuple[str, ...]


def question_of(outputs: Sequence[End], labels: Sequence[str]) -> Question:
    """The output that decides: of several the first that is a list of classes, else a map of classes, else a map of class numbers,
    else a single number (taken for yes or no); one with as many classes as there are `labels` before all others. What a gate asks
    decides nothing.
    """
    outputs = [end for end in outputs if end.name != FAMILIARITY] or outputs
    kinds = ((LABEL, _listed), (MAP, _mapped), (MAP, _numbered), (LABEL, _single))
    deciding = [(kind, end.name, classes) for kind, count in kinds for end in outputs if (classes := count(end))]
    if not deciding:
        return Question(VALUE, outputs[0].name, ())
    kind, name, classes = min(deciding, key=lambda found: found[2] != len(labels))
    return Question(kind, name, _names(classes, labels))


def decide(question: Question, outputs: Mapping[str, Reals]) -> Decided:
    """What a model's outputs, as real values, say."""
    values = outputs[question.output]
    if question.kind == VALUE:
        return Decided(Answer("", None), np.empty(0, np.int64), values)
    if values.ndim < 4 and question.kind == MAP:
        classes = values.astype(np.int64)
        return Decided(Answer(_shares(classes, question.labels), None), classes, values)
    likely = _probabilities(values.reshape(-1, values.shape[-1]) if values.size > 1 else values.reshape(1, 1))
    classes = np.asarray(likely.argmax(-1), np.int64)
    ordered = np.sort(likely, axis=-1)
    margin = float((ordered[:, -1] - ordered[:, -2]).mean())
    label = question.labels[classes[0]] if question.kind == LABEL else _shares(classes, question.labels)
    return Decided(Answer(label, margin), classes, likely if question.kind == LABEL else np.empty(0, np.float32))


def question_of_domain(result: Result) -> Question:
    """How a domain's results are compared."""
    return Question(LABEL if isinstance(result, Classification) else MAP, "", result.labels)


def decided_by_domain(result: Result) -> Decided:
    """What a domain's result says."""
    if result.foreign:
        return Decided(Answer(REFUSED, None), np.empty(0, np.int64), np.empty(0, np.float32), {ABSTENTION: True, GATE: True})
    if isinstance(result, Segmentation):
        return _segmentation(result)
    likely = np.asarray(result.probabilities, np.float32)
    ordered = np.sort(likely)
    parts = {ABSTENTION: result.abstention is not None, GATE: False, "prediction set": sorted(result.prediction_set)}
    words = "no verdict, " if result.abstention else ""
    words += f"set {{{', '.join(result.prediction_set)}}}"
    answer = Answer(result.label, float(ordered[-1] - ordered[-2]), words)
    return Decided(answer, np.array([likely.argmax()], np.int64), likely.reshape(1, -1), parts)


def differ(a: Decided, b: Decided, classes: int) -> Difference:
    """How far two answers to one input differ. `classes`: how many labels there are."""
    parts = tuple(name for name in a.parts if name in b.parts and a.parts[name] != b.parts[name])
    if not classes:
        return Difference(np.zeros((0, 0), np.int64), float(np.array_equal(a.values, b.values)), _away(a.values, b.values), parts)
    if not a.classes.size or not b.classes.size:  # refused by one of them, or by both
        same = a.classes.size == b.classes.size
        return Difference(np.zeros((classes, classes), np.int64), float(same), float(not same), parts)
    pairs = a.classes.ravel() * classes + b.classes.ravel()
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    agree = int(np.trace(confusion)) / max(1, int(confusion.sum()))
    distance = 1 - agree
    if a.values.size and a.values.shape == b.values.shape and a.classes.size == 1:
        distance = float(np.abs(a.values - b.values).sum() / 2)
    return Difference(confusion, agree, min(1.0, distance), parts)


def _segmentation(result: Segmentation) -> Decided:
    plants = {label: sum(one.label == label for one in result.instances) for label in result.labels[1:]}
    words = "no verdict, " if result.abstention else ""
    words += "objects: " + ", ".join(f"{count} {label}" for label, count in plants.items())
    classes = result.class_map.astype(np.int64)
    parts = {ABSTENTION: result.abstention is not None, GATE: False, "number of objects": plants}
    return Decided(Answer(_shares(classes, result.labels), None, words), classes, np.empty(0, np.float32), parts)


def _listed(end: End) -> int:
    classes = end.shape[-1] if end.shape else 1
    return classes if classes > 1 and np.prod(end.shape) == classes and _is_real(end) else 0


def _mapped(end: End) -> int:
    return end.shape[3] if len(end.shape) == 4 and end.shape[3] > 1 and _is_real(end) else 0


def _numbered(end: End) -> int:
    """An output that holds class numbers already doesn't say how many there are: as many as a byte can tell."""
    return 256 if end.dtype in {"int32", "int64"} and not end.scale and len(end.shape) == 3 else 0


def _single(end: End) -> int:
    return 2 if np.prod(end.shape) == 1 and _is_real(end) else 0


def _is_real(end: End) -> bool:
    return end.dtype == "float32" or end.scale > 0


def _names(classes: int, labels: Sequence[str]) -> tuple[str, ...]:
    if len(labels) == classes:
        return tuple(labels)
    return _YES_NO if classes == 2 and not labels else tuple(str(index) for index in range(classes))


def _probabilities(values: Reals) -> Reals:
    """Rows of probabilities: as they are where they are some already, else their softmax; a single number's sigmoid and the rest."""
    if values.shape[-1] == 1:
        given = bool((values >= 0).all() and (values <= 1).all())
        yes = values if given else 1 / (1 + np.exp(-values))
        return np.concatenate([1 - yes, yes], axis=-1)
    sums = values.sum(-1, keepdims=True)
    if (values >= 0).all() and (np.abs(sums - 1) < 0.1).all():
        return np.asarray(values / sums, np.float32)
    powers = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def _shares(classes: NDArray[np.int64], labels: Sequence[str]) -> str:
    """The share of each label that there is, largest first."""
    counts = np.bincount(classes.ravel(), minlength=len(labels))
    found = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    return ", ".join(f"{labels[index]} {counts[index] / classes.size:.1%}" for index in found[:4])


def _away(a: Reals, b: Reals) -> float:
    """The root mean square of the difference by that of `a`, at most 1."""
    if a.shape != b.shape:
        return 1.0
    signal = float(np.square(a, dtype=np.float64).sum())
    error = float(np.square(a - b, dtype=np.float64).sum())
    return 0.0 if error == 0 else min(1.0, float(np.sqrt(error / signal)) if signal else 1.0)
