"""The recipe of the peanut model."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.core import ModelCall, Pixels, Result, Segmentation
from domains.core.calibration import temperature_of
from domains.core.results import ClassMap
from domains.core.training import Case, Part, Run
from domains.crop_weed import plants, tiling
from domains.crop_weed.training import scoring, usability
from domains.crop_weed.training.cards import GROUND_RESOLUTION_MM, LONG_SIDE_PX, PEANUT_CARD, PEANUT_IDENTITY
from domains.crop_weed.training.data import LABELS, Photo, photos, read_mask, read_photo

STEPS = 75
REPRESENTATIVE = 200
SPECK_PX = 24
DOMINANCE = 0.75
CERTAINTY_MARGIN = 0.9
"""Abstention starts this far below the least certain calibration photo: a field photo should never meet it."""


class PeanutRecipe:
    """Soil, crop and weed on `crop_peanut`."""

    identity = PEANUT_IDENTITY
    card = PEANUT_CARD
    epochs = 45
    learning_rate = 1e-3
    main_figure = "miou"
    class_figures: ClassVar[Mapping[str, str]] = {label: scoring.IOU.format(label) for label in LABELS}

    def build(self, backbone: Path) -> Any:
        from domains.crop_weed.training.network import build

        return build(backbone, len(LABELS))

    def batches(self, data: Path, seed: int) -> Any:
        from domains.crop_weed.training.batches import CropBatches

        train = [(read_photo(photo.file), read_mask(photo.mask)) for photo in _part(data, "train")]
        return CropBatches(train, self.identity.input, seed, STEPS)

    def loss(self) -> Any:
        from domains.crop_weed.training.network import CrossEntropyWithDice

        return CrossEntropyWithDice()

    def representative(self, data: Path) -> Iterator[Pixels]:
        random = np.random.default_rng(0)
        spec = self.identity.input
        train = _part(data, "train")
        for photo in islice((train[index] for index in random.permutation(len(train))), REPRESENTATIVE // 2):
            pixels = read_photo(photo.file)
            for _ in range(2):
                top = random.integers(pixels.shape[0] - spec.height + 1)
                left = random.integers(pixels.shape[1] - spec.width + 1)
                yield np.ascontiguousarray(pixels[None, top : top + spec.height, left : left + spec.width])

    def calibrate(self, data: Path, run: Run) -> Mapping[str, object]:
        held_out = _part(data, "calibration")
        grids = [_blended(read_photo(photo.file), run, self) for photo in held_out]
        cells = np.concatenate([grid[::4, ::4].reshape(-1, len(LABELS)) for grid in grids])
        truth = np.concatenate([_truth_like(grid, photo)[::4, ::4].ravel()
                                for grid, photo in zip(grids, held_out, strict=True)])
        temperature = round(temperature_of(cells, truth.astype(np.int64)), 4)
        least = min(plants.understand(grid, temperature, SPECK_PX / 4, DOMINANCE).certainty for grid in grids)
        return {
            "crop": "peanut",
            "ground_resolution_mm": GROUND_RESOLUTION_MM,
            "long_side_px": LONG_SIDE_PX,
            "temperature": temperature,
            "abstain_below": round(CERTAINTY_MARGIN * least, 4),
            "speck_px": SPECK_PX,
            "dominance": DOMINANCE,
            "sequence": usability.thresholds(read_photo(photo.file) for photo in _part(data, "train")),
        }

    def cases(self, data: Path, part: Part = "val") -> Sequence[Case]:
        return [Case(photo.file, photo.group, photo.mask, {"crop": "peanut"}) for photo in _part(data, part)]

    def score(self, case: Case, results: Sequence[Result]) -> object:
        result = results[0]
        if not isinstance(result, Segmentation):
            raise TypeError(f"a photo's result is a Segmentation, got {type(result).__name__}")
        return scoring.score(case.truth, result)

    def figures(self, scores: Sequence[object]) -> Mapping[str, float]:
        return scoring.figures(scores)


RECIPES = (PeanutRecipe(),)


def _part(data: Path, part: str) -> list[Photo]:
    return [photo for photo in photos(data) if photo.part == part]


def _blended(pixels: Pixels, run: Run, recipe: PeanutRecipe) -> tiling.Grid:
    spec = recipe.identity.input
    tile = (spec.height, spec.width)
    flow = tiling.blend(tiling.pad(pixels, tile), tile, partial(ModelCall, recipe.identity.name), "logits")
    call = next(flow)
    while True:
        try:
            call = flow.send(run(call.pixels))
        except StopIteration as stop:
            grid: tiling.Grid = stop.value
            return grid


def _truth_like(grid: tiling.Grid, photo: Photo) -> ClassMap:
    mask = read_mask(photo.mask)
    return mask[:: mask.shape[0] // grid.shape[0], :: mask.shape[1] // grid.shape[1]]
