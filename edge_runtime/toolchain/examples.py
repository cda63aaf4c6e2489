"""Held-out cases with their answers, best and worst first, for people to look at."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domains.core import Classification, Pixels, Result
from domains.core.overlay import draw_over
from domains.core.reliability import Judged
from domains.core.training import Case, Recipe
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.evaluate import answer, pictures_of
from edge_runtime.toolchain.sheet import BAD, GOOD, OPEN, Colour, Tile

EVERY = 20
_REFUSED = -1.0


@dataclass(frozen=True, slots=True)
class Example:
    """One case. `pixels` (uint8 RGB) and `result`: of its picture, or of the frame in the middle of its clip. `worth`: for a
    label its probability, negative where it is wrong and -1 where the case was refused; else the recipe's main figure of this
    case alone, infinite where it has none.
    """

    case: Case
    pixels: Pixels
    result: Result
    score: object
    worth: float

    @property
    def is_failure(self) -> bool:
        """Whether a label is wrong; a result that is no label is never wrong as a whole."""
        return isinstance(self.score, Judged) and not self.score.is_right


def examples(recipe: Recipe, cases: Sequence[Case], models: Mapping[str, LoadedModel], say: Callable[[str], None]) -> list[Example]:
    """Every case answered by the recipe's model, the worst first."""
    found = []
    for number, case in enumerate(cases, 1):
        pictures = pictures_of(case)
        results = [answer(recipe, picture, case, models) for picture in pictures]
        score, middle = recipe.score(case, results), len(pictures) // 2
        found.append(Example(case, pictures[middle][1].pixels, results[middle], score, _worth(recipe, score)))
        if number % EVERY == 0 or number == len(cases):
            say(f"{recipe.identity.name}: examples: {number} of {len(cases)} cases")
    return sorted(found, key=lambda example: example.worth)


def worst(found: Sequence[Example], count: int) -> list[Example]:
    """Of labels those that are wrong, the surest first; of other results those of the least main figure."""
    labels = any(isinstance(example.score, Judged) for example in found)
    return [example for example in found if example.is_failure or not labels][:count]


def tile_of(recipe: Recipe, example: Example) -> Tile:
    """The picture beside what was found in it, with the truth and the answer as the caption."""
    pictures = (example.pixels, draw_over(example.pixels, example.result))
    if isinstance(example.score, Judged):
        lines, bar = _judged(example.score)
        if isinstance(example.result, Classification) and example.score.said == "" and example.result.abstention is not None:
            lines = (*lines, example.result.abstention.reason)
        return Tile(pictures, (*lines, example.case.file.name), bar)
    figure = [f"{recipe.main_figure.replace('_', ' ')} {example.worth:.2f}"] if math.isfinite(example.worth) else []
    return Tile(pictures, (*figure, example.case.file.name))


def _judged(score: Judged) -> tuple[tuple[str, ...], Colour]:
    if not score.said:
        return (f"was {score.true_label}, refused",), OPEN
    said = f"was {score.true_label}, said {score.said} {100 * min(score.probability, 0.99):.0f} %"
    told = said if score.answered else f"{said}, left open"
    return (told,), GOOD if score.is_right else BAD


def _worth(recipe: Recipe, score: object) -> float:
    if not isinstance(score, Judged):
        figure = recipe.figures([score]).get(recipe.main_figure, math.nan)
        return math.inf if math.isnan(figure) else figure
    if not score.said:
        return _REFUSED
    return score.probability if score.is_right else -score.probability
