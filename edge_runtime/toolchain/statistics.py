"""Training statistics of packages, through the same decoding, flow and tensors as the gateway: what `hedgerow drift` compares
with. No TensorFlow here.

Inputs are measured on the whole training split. Outputs are measured on pictures that the weights haven't learned (the parts
`calibration` and `val`): of those that it has learned a network is surer than of any other, and whatever comes later would
look like drift.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from domains.core.documents import to_document
from domains.core.quality import measure_answer
from domains.core.training import Case, Part, Recipe
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.evaluate import answer, pictures_of
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.training_statistics import ABSTAINED, LABEL, Observed, Statistics, choices, histogram, observe

PARTS: tuple[Part, ...] = ("train", "calibration", "val")
INPUT_PARTS = frozenset({"train", "calibration"})
OUTPUT_PARTS = frozenset({"calibration", "val"})
EVERY = 20

T = TypeVar("T", float, str)
Weighted = dict[str, list[tuple[T, float]]]
"""Values with their weights, by name."""


def statistics(
    domain: str, data: Path, *, packages: Sequence[Path], variant: str = "int8", say: Callable[[str], None] = print
) -> dict[Path, Statistics]:
    """Of every package that the domain has a recipe of, by its folder; packages of other domains are passed over.

    Raises PackageError for a package or variant that can't be used, FileNotFoundError where `data` doesn't hold the
    recipe's data set.
    """
    loaded = {package.spec.name: package for package in map(load_package, packages) if package.spec.domain == domain}
    models = {
        name: LoadedModel(package, load_backend("litert"), variant=variant, threads=2) for name, package in loaded.items()
    }
    recipes = [recipe for recipe in recipes_of(domain) if recipe.identity.name in models]
    return {loaded[recipe.identity.name].folder: _measure(recipe, data, models, say) for recipe in recipes}


@dataclass(slots=True)
class _Tally:
    """What was observed, each case with the weight 1 whatever its frames are."""

    inputs: Weighted[float] = field(default_factory=dict)
    outputs: Weighted[float] = field(default_factory=dict)
    choices: Weighted[str] = field(default_factory=dict)

    def add(self, part: Part, observed: Sequence[Observed]) -> None:
        """The answers to one case's pictures."""
        weight = 1 / len(observed)
        if part in INPUT_PARTS:
            _put(self.inputs, (frame.inputs for frame in observed), weight)
        if part in OUTPUT_PARTS:
            _put(self.outputs, (frame.outputs for frame in observed), weight)
            _put(self.choices, (frame.choices for frame in observed), weight)


def _measure(
    recipe: Recipe, data: Path, models: Mapping[str, LoadedModel], say: Callable[[str], None]
) -> Statistics:
    identity, tally = recipe.identity, _Tally()
    cases = [(part, case) for part in PARTS for case in recipe.cases(data, part)]
    for number, (part, case) in enumerate(cases, 1):
        tally.add(part, _observed(recipe, case, models))
        if number % EVERY == 0 or number == len(cases):
            say(f"{identity.name}: {number} of {len(cases)} cases")
    offered = {ABSTAINED: ("no", "yes"), LABEL: identity.labels}
    return Statistics(
        variant=models[identity.name].variant,
        inputs={name: histogram(values, _cases(values)) for name, values in tally.inputs.items()},
        outputs={name: histogram(values, _cases(values)) for name, values in tally.outputs.items()},
        choices={name: choices(values, offered[name], _cases(values)) for name, values in tally.choices.items()},
    )


def _observed(recipe: Recipe, case: Case, models: Mapping[str, LoadedModel]) -> list[Observed]:
    found = []
    for picture in pictures_of(case):
        result = answer(recipe, picture, case, models)
        document, _ = to_document(result)
        found.append(observe(document, measure_answer(picture[1], result)))
    return found


def _cases(values: Sequence[tuple[object, float]]) -> int:
    """How many have it: an answer that is a refusal has no label and no probability."""
    return max(1, round(sum(weight for _, weight in values)))


def _put(values: Weighted[T], observed: Iterable[Mapping[str, T]], weight: float) -> None:
    for frame in observed:
        for name, value in frame.items():
            values.setdefault(name, []).append((value, weight))
