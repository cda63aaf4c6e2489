"""The release gate: no package whose int8 file is clearly worse than its float file, unless the card says why.

Figures are shares, so a point is 0.01. The limits are 1 point of the main figure and 3 points of any class: an average over
classes hides the one that quantisation has cost most. More than ten times a limit no words explain.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from domains.core.training import Recipe
from edge_runtime.models import Manifest
from edge_runtime.toolchain.card import COSTS

FLOAT, INT8 = "float32", "int8"
MAIN_LIMIT, CLASS_LIMIT = 0.01, 0.03
BEYOND_WORDS = 10
"""Times its limit: so much lost is a broken file, whatever the card says of a small loss."""
_ROUNDING = 1e-9
"""Figures have four digits; their differences aren't exact."""

Pair = tuple[float, float]
"""A figure of the float file, and the same of the int8 file."""


class GateRefused(ValueError):
    """The int8 file loses more than is allowed, and the card doesn't say why. The message holds each figure over its limit."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What int8 gives up against float. `classes`: a pair for each label that had a case in the held-out split."""

    main_name: str
    main_float: float
    main_int8: float
    classes: Mapping[str, Pair]

    def over_limit(self) -> "Iterator[tuple[str, Pair, float]]":
        """Name, values and limit of each figure that lost more than its limit."""
        for name, pair, limit in self._limits():
            if pair[0] - pair[1] > limit + _ROUNDING:
                yield name, pair, limit

    def rows(self) -> "Iterator[tuple[str, Pair]]":
        """Every figure: the main one, then each class."""
        yield from ((name, pair) for name, pair, _ in self._limits())

    def _limits(self) -> "Iterator[tuple[str, Pair, float]]":
        yield self.main_name, (self.main_float, self.main_int8), MAIN_LIMIT
        yield from ((f"class {label}", pair, CLASS_LIMIT) for label, pair in self.classes.items())


def losses_of(recipe: Recipe, figures: Mapping[str, Mapping[str, Any]]) -> Losses:
    """From the figures of both variants, `{variant: {figure: {"value": ...}}}`, as in a manifest's metrics.

    A class that has no figure on both sides has no held-out case and is left out. Raises ValueError where the main figure is
    missing, or a class has a figure on one side alone.
    """
    def value(variant: str, name: str) -> float:
        found = figures.get(variant, {}).get(name)
        return math.nan if found is None else float(found["value"])

    main = value(FLOAT, recipe.main_figure), value(INT8, recipe.main_figure)
    if any(math.isnan(one) for one in main):
        raise ValueError(f"{recipe.identity.name}: the main figure {recipe.main_figure!r} was not measured for both files")
    classes = {}
    for label, name in recipe.class_figures.items():
        pair = value(FLOAT, name), value(INT8, name)
        missing = [math.isnan(one) for one in pair]
        if any(missing) and not all(missing):
            raise ValueError(f"{recipe.identity.name}: {name!r} of class {label!r} was measured for one of both files alone")
        if not any(missing):
            classes[label] = pair
    return Losses(recipe.main_figure, *main, classes)


def losses_in(recipe: Recipe, manifest: Manifest) -> Losses:
    """From a package's own figures. Raises ValueError as `losses_of` does, and for figures of another form."""
    try:
        figures = msgspec.convert(manifest.metrics, dict[str, dict[str, dict[str, float]]])
    except msgspec.ValidationError as error:
        raise ValueError(f"{manifest.name}: metrics: {error}") from error
    return losses_of(recipe, figures)


def refuse_unless_explained(losses: Losses, why: str) -> None:
    """Raises GateRefused, a sentence with each figure over its limit, where there is one and `why` is empty, or one is beyond words."""
    beyond = any(pair[0] - pair[1] > BEYOND_WORDS * limit + _ROUNDING for _, pair, limit in losses.over_limit())
    found = [f"{name} {_points(pair)} ({pair[0]:.4f} to {pair[1]:.4f}, {100 * limit:g} {_plural(limit)} allowed)"
             for name, pair, limit in losses.over_limit()]
    if found and (beyond or not why.strip()):
        raise GateRefused(
            f"int8 loses too much against float: {'; '.join(found)}. Nothing was written. Try quantisation-aware training "
            "(`hedgerow model optimize ... --only qat_int8`, then `hedgerow model package ... --int8 qat_int8`), or say in the "
            "recipe's card, as `int8_loss`, why the loss is acceptable"
        )


def stated(losses: Losses, why: str) -> str:
    """The model card's section, Markdown: what every figure lost, and why more than the limits is acceptable."""
    lines = [
        COSTS, "",
        "| figure | float32 | int8 | change in points |", "|---|---|---|---|",
        *(f"| {name} | {pair[0]:.4f} | {pair[1]:.4f} | {_change(pair)} |" for name, pair in losses.rows()), "",
    ]
    over = [name for name, _, _ in losses.over_limit()]
    limits = f"({100 * MAIN_LIMIT:g} point of the main figure, {100 * CLASS_LIMIT:g} of any class)"
    if not over:
        return "\n".join([*lines, f"Within the release gate's limits {limits}."])
    return "\n".join([*lines, f"Over the release gate's limits {limits}: {', '.join(over)}. {why.strip()}"])


def _points(pair: Pair) -> str:
    return f"-{100 * (pair[0] - pair[1]):.2f} points"


def _change(pair: Pair) -> str:
    change = 100 * (pair[1] - pair[0])
    return "0" if abs(change) < 0.005 else f"{change:+.2f}"


def _plural(limit: float) -> str:
    return "point" if round(100 * limit) == 1 else "points"
