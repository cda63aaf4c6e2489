"""Contact sheets of what the installed models answer: right and wrong, refused pictures, plants told apart.

    .venv/bin/python benchmarks/contact_sheets.py --data DIR --out DIR [--only MODEL] [--shareable] [--jpeg] [--foreign N]

Writes PNG (or JPEG, a tenth of the size), 1,600 pixels wide, for people to look at; over the flow that the gateway runs, on held-out cases. With `--shareable`
only pictures whose licence lets anyone pass them on, with their credits below.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from domains import registry
from domains.core import Classification, Pixels, Result, Segmentation
from domains.core.gate import UNFAMILIARITY
from domains.core.overlay import draw_over
from domains.core.reliability import Judged
from domains.core.training import Case, Recipe
from domains.foreign import MOST_OF_A_KIND, Foreign, kinds
from domains.pathology.training.scoring import Truth
from edge_runtime.backends import load_backend
from edge_runtime.embedded import package_folders
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.evaluate import answer, picture_of
from edge_runtime.toolchain.examples import Example, examples, tile_of, worst
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.sheet import BAD, GOOD, OPEN, Tile, contact_sheet

WIDTH = 1600
MOST = 12
SHAREABLE_KINDS = {
    "field_photo": "Tran and Phan, Peanut-dataset, 2023, CC BY-SA 4.0",
    "everyday": "scikit-image's photos, public domain and CC0",
    "document": "", "flat_graphic": "", "blank": "", "noise": "", "menu_screen": "",
    "device_screen": "ITKPOCUS, Kitware, Apache-2.0",
    "other_ultrasound": "pydicom's test files, MIT",
    "chest_xray": "Kermany et al., 2018, CC BY 4.0",
}
"""Kinds of foreign pictures that may be passed on, with whom to name."""
_OUTLINE = (80, 220, 120)
_GOLDEN = 0.618


def main() -> None:
    """Writes every sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="this model alone")
    parser.add_argument("--shareable", action="store_true", help="only pictures that may be passed on")
    parser.add_argument("--jpeg", action="store_true")
    parser.add_argument("--foreign", type=int, default=MOST_OF_A_KIND, help="foreign pictures of each kind among which it looks")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80] if asked.jpeg else []
    packages = [load_package(folder) for folder in package_folders(())]
    for domain in registry.names():
        models = {package.spec.name: LoadedModel(package, load_backend("litert"), variant="int8", threads=2)
                  for package in packages if package.spec.domain == domain}
        for recipe in recipes_of(domain):
            if recipe.identity.name in models and asked.only in {"", recipe.identity.name}:
                for name, sheet in sheets(recipe, asked.data, models, asked.foreign, shareable=asked.shareable):
                    path = asked.out / f"{recipe.identity.name}-{name}.{'jpg' if asked.jpeg else 'png'}"
                    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)
                    say(f"written to {path}")


def sheets(recipe: Recipe, data: Path, models: Mapping[str, LoadedModel], most_of_a_kind: int, *,
           shareable: bool) -> Iterator[tuple[str, Pixels]]:
    """The sheets of one model, by name; those for which there is no picture are left out. `most_of_a_kind`: foreign pictures."""
    model = models[recipe.identity.name]
    title = f"{model.spec.name} {model.spec.version}, {model.variant}"
    cases = [case for case in recipe.cases(data) if case.credit or not shareable]
    found = examples(recipe, cases, models, say) if cases else []
    credit = sorted({example.case.credit for example in found if example.case.credit}) if shareable else []
    wrong, right = worst(found, MOST), in_turns([example for example in reversed(found) if not example.is_failure])[:MOST]
    plants = [example for example in found if isinstance(example.result, Segmentation)]
    if plants:
        titles = "the worst held-out photos", "the best held-out photos"
    else:
        titles = "held-out cases that it is wrong about, the surest first", "held-out cases that it is right about, the surest of each label"
    for name, told, chosen in (("wrong", titles[0], wrong), ("right", titles[1], right)):
        if chosen:
            tiles = [outlined(recipe, example) for example in chosen]
            yield name, contact_sheet(f"{title}: {told}", tiles, columns=3, width=WIDTH, notes=credit)
    if plants:
        spread = [plants[at] for at in np.unique(np.linspace(0, len(plants) - 1, MOST).round().astype(int))]
        yield "plants", contact_sheet(f"{title}: plants told apart", list(map(told_apart, spread)), columns=2, width=WIDTH,
                                      notes=credit)
    if recipe.foreign_parameters:
        strangers = kinds(data, "val", most=most_of_a_kind, without=recipe.own_kinds,
                          lacking=lambda kind: say(f"no pictures of the kind {kind}: its data set isn't there"))
        shown = {name: pictures for name, pictures in strangers.items() if not shareable or name in SHAREABLE_KINDS}
        tiles = [tile for pictures in shown.values() for tile in strangers_of(recipe, pictures, models)]
        notes = [SHAREABLE_KINDS[name] for name in shown if SHAREABLE_KINDS[name]] if shareable else []
        yield "foreign", contact_sheet(f"{title}: pictures that it was not made for, of each kind the most familiar ones", tiles, columns=6, width=WIDTH, notes=notes)


def in_turns(found: Sequence[Example]) -> list[Example]:
    """The first of each true label, then the second, and so on; as they are where there are no labels."""
    of_label: dict[str, list[Example]] = {}
    for example in found:
        of_label.setdefault(example.score.true_label if isinstance(example.score, Judged) else "", []).append(example)
    rounds = zip_longest(*of_label.values())
    return [example for turn in rounds for example in turn if example is not None]


def strangers_of(recipe: Recipe, pictures: Sequence[Foreign], models: Mapping[str, LoadedModel]) -> list[Tile]:
    """Of one kind the two pictures, of two groups, that look most as if the model were made for them."""
    answers = [(picture, answer(recipe, picture_of(picture.pixels), Case(Path(picture.kind), picture.group, None,
                                                                         recipe.foreign_parameters), models)) for picture in pictures]
    answers.sort(key=lambda pair: pair[1].signals.get(UNFAMILIARITY, 0.0), reverse=True)
    nearest = {picture.group: (picture, result) for picture, result in answers}
    chosen = sorted(nearest.values(), key=lambda pair: pair[1].signals.get(UNFAMILIARITY, 0.0))
    return [stranger(picture, result) for picture, result in chosen[:2]]


def outlined(recipe: Recipe, example: Example) -> Tile:
    """The example's tile; on a scan the lesion has its outline, as a reader drew it."""
    tile = tile_of(recipe, example)
    mask_file = example.case.truth.mask if isinstance(example.case.truth, Truth) else None
    if mask_file is None:
        return tile
    mask = np.asarray(cv2.imread(str(mask_file), cv2.IMREAD_GRAYSCALE), np.uint8)
    lines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(max(mask.shape) / 250))
    marked = tuple(np.asarray(cv2.drawContours(picture.copy(), lines, -1, _OUTLINE, thickness), np.uint8) for picture in tile.pictures)
    return Tile(marked, tile.lines, tile.bar)


def told_apart(example: Example) -> Tile:
    """The photo beside its plants, each in a colour of its own, with its centre."""
    assert isinstance(example.result, Segmentation)
    drawn = example.pixels.copy()
    for number, plant in enumerate(example.result.instances):
        hue = np.array([[[int(180 * (number * _GOLDEN % 1)), 220, 255]]], np.uint8)
        colour = np.asarray(cv2.cvtColor(hue, cv2.COLOR_HSV2RGB), np.uint8)[0, 0]
        box = plant.box
        part = drawn[box.y : box.y + box.height, box.x : box.x + box.width]
        part[plant.mask] = (0.35 * part[plant.mask] + 0.65 * colour).astype(np.uint8)
    for plant in example.result.instances:
        cv2.circle(drawn, (round(plant.centroid[0]), round(plant.centroid[1])), 4, (255, 255, 255), -1, cv2.LINE_AA)
    counts = {label: sum(plant.label == label for plant in example.result.instances) for label in example.result.labels[1:]}
    told = ", ".join(f"{count} {label}" for label, count in counts.items())
    return Tile((example.pixels, drawn), (f"{told}; {example.case.file.name}",))


def stranger(picture: Foreign, result: Result) -> Tile:
    """A foreign picture with what was said of it."""
    kind = picture.kind.replace("_", " ")
    if result.abstention is not None:
        return Tile((draw_over(picture.pixels, result),), (kind, result.abstention.reason), GOOD if result.foreign else OPEN)
    if isinstance(result, Classification):
        assert result.leading is not None
        told = f"said {result.labels[result.leading]} {100 * min(result.probabilities[result.leading], 0.99):.0f} %"
    else:
        told = "said " + ", ".join(f"{100 * area / result.class_map.size:.0f} % {label}" for label, area in result.areas_px().items())
    return Tile((draw_over(picture.pixels, result),), (kind, told), BAD)


def say(line: str) -> None:
    """To standard error."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
