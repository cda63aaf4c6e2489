"""What the shipped int8 models are worth on held-out pictures that came out worse: coded anew, darker, flatter, tinted, blurred, noisy.

    .venv/bin/python benchmarks/worse_pictures.py --data DIR [--models DIR]

Every picture is changed as it was decoded, at its own size, before the flow that the gateway runs. So are foreign ones, 20 of each kind:
those that came out worse must not pass either. Writes the place `worse-pictures` in docs/models.md, unless --models names other packages:
then it prints the tables. Minutes on two cores.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.clip_observations import blurred, coded
from benchmarks.serving_tables import put
from domains.core import Pixels
from domains.core.training import Case, Recipe
from domains.foreign import kinds
from edge_runtime.backends import load_backend
from edge_runtime.embedded import package_folders
from edge_runtime.folders import find_packages
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.evaluate import answer, picture_of, pictures_of
from edge_runtime.toolchain.recipes import recipes_of

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
DOMAINS = ("pathology", "crop_weed")
BLURRED_OF = 400
"""A blur's standard deviation is this part of the longer side."""
FOREIGN_OF_A_KIND = 20
Change = Callable[[Pixels], Pixels]


def main() -> None:
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets; docs/training.md")
    parser.add_argument("--models", type=Path, help="a folder of packages in place of those that ship")
    given = parser.parse_args()
    folders = package_folders(()) if given.models is None else find_packages([given.models])
    packages = list(map(load_package, folders))
    own: dict[str, dict[str, str]] = {}
    foreign: dict[str, dict[str, str]] = {}
    for domain in DOMAINS:
        models = {package.spec.name: LoadedModel(package, load_backend("litert"), threads=2)
                  for package in packages if package.spec.domain == domain}
        for recipe in (recipe for recipe in recipes_of(domain) if recipe.identity.name in models):
            own[recipe.identity.name] = _own(recipe, given.data, models)
            foreign[recipe.identity.name] = _foreign(recipe, given.data, models)
    text = "\n".join([*_table("held-out pictures", own), "", *_table("foreign pictures refused", foreign)])
    if given.models is None:
        put(PAGE, "worse-pictures", text)
    else:
        print(text)


def changes() -> Mapping[str, Change]:
    """By name; each takes and gives uint8 RGB (height, width, 3)."""
    return {
        "as they are": lambda pixels: pixels,
        "JPEG of quality 30": lambda pixels: coded(pixels, 30),
        "darker (gamma 1.4)": lambda pixels: _curved(pixels, 1.4),
        "brighter (gamma 0.7)": lambda pixels: _curved(pixels, 0.7),
        "flatter (contrast 0.7)": lambda pixels: _bounded((pixels.astype(np.float32) - 127) * 0.7 + 127),
        "warmer (red 10 % up, blue as much down)": lambda pixels: _bounded(pixels * np.array([1.1, 1.0, 0.9], np.float32)),
        "sepia (blue a third down)": lambda pixels: _bounded(pixels * np.array([1.0, 0.88, 0.68], np.float32)),
        f"blurred (by {BLURRED_OF}ths)": lambda pixels: blurred(pixels, 1 / BLURRED_OF),
        "noisy (8 grey levels)": _noisy,
    }


def _own(recipe: Recipe, data: Path, models: Mapping[str, LoadedModel]) -> dict[str, str]:
    """By change: the main figure, and how much was answered."""
    scores: dict[str, list[object]] = {name: [] for name in changes()}
    for case in recipe.cases(data):
        pictures = pictures_of(case)
        for name, change in changes().items():
            answers = [answer(recipe, (header, replace(image, pixels=change(image.pixels))), case, models) for header, image in pictures]
            scores[name].append(recipe.score(case, answers))
    return _said(recipe, {name: _told(recipe, recipe.figures(rows)) for name, rows in scores.items()})


def _foreign(recipe: Recipe, data: Path, models: Mapping[str, LoadedModel]) -> dict[str, str]:
    """By change: the share that is refused, the mean over the kinds."""
    shares: dict[str, list[float]] = {name: [] for name in changes()}
    for kind, pictures in kinds(data, "val", most=FOREIGN_OF_A_KIND, without=recipe.own_kinds).items():
        case = Case(Path(kind), kind, None, recipe.foreign_parameters)
        for name, change in changes().items():
            answers = [answer(recipe, picture_of(change(picture.pixels)), case, models) for picture in pictures]
            shares[name].append(statistics.mean(one.foreign for one in answers))
    return _said(recipe, {name: f"{statistics.mean(rows):.3f}" for name, rows in shares.items()})


def _said(recipe: Recipe, found: dict[str, str]) -> dict[str, str]:
    for name, told in found.items():
        print(f"{recipe.identity.name}, {name}: {told}", flush=True)
    return found


def _told(recipe: Recipe, figures: Mapping[str, float]) -> str:
    share = figures["answered_share"]
    right = f", {figures['answered_accuracy']:.2f} of them right" if share and "answered_accuracy" in figures else ""
    return f"**{figures[recipe.main_figure]:.3f}**; {share:.2f} answered{right}"


def _table(title: str, found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield f"| {title} | {' | '.join(f'`{name}`' for name in found)} |"
    yield f"|---|{'---|' * len(found)}"
    for name in changes():
        yield f"| {name} | {' | '.join(told[name] for told in found.values())} |"


def _curved(pixels: Pixels, gamma: float) -> Pixels:
    return _bounded((pixels.astype(np.float32) / 255) ** gamma * 255)


def _noisy(pixels: Pixels) -> Pixels:
    return _bounded(pixels + np.random.default_rng(0).normal(0, 8, pixels.shape[:2])[..., None])


def _bounded(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.round(values), 0, 255), np.uint8)


if __name__ == "__main__":
    main()
