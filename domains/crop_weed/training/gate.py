"""The gate of a trained network: its `familiarity` layer, set from tiles of field photos and of everything else."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from domains.core import InputSpec, Pixels
from domains.core.gate_fit import set_gate, threshold
from domains.crop_weed.training.data import scaled
from domains.crop_weed.training.light import faded, relit
from domains.foreign import kinds

TILES_OF_A_PHOTO = 3
FEWEST_TILES = 300
"""Of data sets with few photos each gives as many more."""
TILES_OF_A_FOREIGNER = 1
BACKGROUND_OF_A_KIND = 30
LEAST_SCALE, MOST_SCALE = 0.4, 2.5
FADED_SHARE = 0.4
REFUSED = 0.02
NEARER_FOREIGN = 2 / 3
"""On a logarithmic scale."""
FOREIGNERS_OF_A_KIND, TILES_MEASURED = 15, 3
OWN_SLACK = 1.5
"""How much farther off than the calibration photos a photo of the same crop may be: another day, another field."""


def fit(model: Any, photos: Sequence[Pixels], data: Path, own_kinds: Iterable[str], spec: InputSpec, *, two_band: bool,
        long_side_px: int) -> None:
    """Sets the layer. `photos`: of the training part, at the model's scale. Raises FileNotFoundError."""
    from domains.crop_weed.training.network import GATE, POOLED

    random = np.random.default_rng(0)
    each = max(TILES_OF_A_PHOTO, -(-FEWEST_TILES // len(photos)))
    own = (tile for photo in photos for tile in islice(changed(photo, spec, random, two_band=two_band), each))
    foreign = (tile for pictures in kinds(data, "train", most=BACKGROUND_OF_A_KIND, without=own_kinds).values()
               for picture in pictures for tile in islice(tiles(scaled(picture.pixels, long_side_px), spec, random), TILES_OF_A_FOREIGNER))
    set_gate(model, POOLED, GATE, own, foreign, spec)


def changed(photo: Pixels, spec: InputSpec, random: np.random.Generator, *, two_band: bool) -> Iterator[Pixels]:
    """Endless tiles of the photo at other scales and in another light: other fields are own ones, too."""
    while True:
        scale = np.exp(random.uniform(np.log(LEAST_SCALE), np.log(MOST_SCALE)))
        tile = next(tiles(scaled(photo, round(max(photo.shape) * scale)), spec, random))[0]
        lit = relit(tile, np.ones(tile.shape[:2], np.float32), random, two_band=two_band)
        yield (faded(lit, random) if random.random() < FADED_SHARE else lit).astype(np.uint8)[None]


def foreigners(data: Path, own_kinds: Iterable[str], spec: InputSpec, long_side_px: int) -> Iterator[list[Pixels]]:
    """Tiles of each of some foreign pictures of the training part. Raises FileNotFoundError."""
    random = np.random.default_rng(2)
    for pictures in kinds(data, "train", most=FOREIGNERS_OF_A_KIND, without=own_kinds).values():
        for picture in pictures:
            yield list(islice(tiles(scaled(picture.pixels, long_side_px), spec, random), TILES_MEASURED))


def foreign_from(own: Sequence[float], foreign: Sequence[float]) -> float:
    """From which unfamiliarity on a photo is foreign: between what all but 2 % of own photos, as other fields and cameras would show
    them, lie below, and what all but 2 % of foreign pictures lie above; nearer to these, since no change of light makes another field.
    """
    ends = threshold(np.array(own), REFUSED, 1.0), float(np.quantile(foreign, REFUSED, method="lower"))
    return round(float(ends[0] ** (1 - NEARER_FOREIGN) * max(ends) ** NEARER_FOREIGN), 4)


def own_crop_below(distances: Sequence[float]) -> float:
    """Up to which unfamiliarity a photo shows the model's own crop, by those of the calibration part's photos as they are."""
    return round(threshold(np.array(distances), REFUSED, OWN_SLACK), 4)


def tiles(pixels: Pixels, spec: InputSpec, random: np.random.Generator) -> Iterator[Pixels]:
    """Endless tiles from anywhere in the picture, uint8 (1, height, width, 3)."""
    missing = [max(0, side - have) for side, have in zip((spec.height, spec.width), pixels.shape[:2], strict=True)]
    if any(missing):
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT), np.uint8)
    while True:
        top = int(random.integers(pixels.shape[0] - spec.height + 1))
        left = int(random.integers(pixels.shape[1] - spec.width + 1))
        yield np.ascontiguousarray(pixels[None, top : top + spec.height, left : left + spec.width])
