"""From calibration photos to `[domain_options]`: temperature, thresholds, the gate, and how plants are told apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from domains.core import Image, InputSpec, ModelCall, Pixels
from domains.core.calibration import temperature_of
from domains.core.gate import FAMILIARITY, noting, unfamiliarity
from domains.core.training import Run
from domains.crop_weed import plants, tiling
from domains.crop_weed.domain import OUTPUTS, understood, working_picture
from domains.crop_weed.options import Options
from domains.crop_weed.training import gate, usability
from domains.crop_weed.training.data import LABELS, Truth
from domains.crop_weed.training.detection import Found, plant_figures

CERTAINTY_MARGIN = 0.9
"""Abstention starts this far below the least certain calibration photo: a field photo should never meet it."""
CHANGED_TILES = 5
"""So many tiles of a photo at another scale and in another light stand for a photo of another field."""
CHANGED_PHOTOS = 4

usable = usability.thresholds

Photos = Sequence[tuple[Pixels, Truth]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A calibration photo as the network sees it. `cells_per_pixel`: along x and y."""

    grid: tiling.Grid
    stride: int
    cells_per_pixel: tuple[float, float]
    unfamiliarity: float


def calibrate(photos: Photos, run: Run, spec: InputSpec, fixed: Mapping[str, object], world: str,
              foreigners: Iterable[Sequence[Pixels]]) -> dict[str, object]:
    """What `[domain_options]` needs beside `fixed`. `foreigners`: tiles of each of some foreign pictures."""
    rough = msgspec.convert({**fixed, "temperature": 1.0, "abstain_below": 0.0}, Options)
    seen = [_see(pixels, run, spec, rough) for pixels, _ in photos]
    temperature = _temperature([one.grid for one in seen], [truth for _, truth in photos])
    options = {way: msgspec.structs.replace(rough, temperature=temperature, apart=way) for way in ("patches", "centres")}
    f1 = {way: plant_figures([_found(one, truth, options[way]) for one, (_, truth) in zip(seen, photos, strict=True)])["plant_f1"]
          for way in options}
    certainties = [understood(one.grid[..., : len(LABELS)], options["patches"], one.stride).certainty for one in seen]
    return {
        "temperature": temperature,
        "abstain_below": round(CERTAINTY_MARGIN * min(certainties), 4),
        "apart": max(f1, key=lambda way: f1[way]),
        "gate": {"foreign_from": gate.foreign_from(
            _of_other_fields([pixels for pixels, _ in photos], run, spec, rough), [_of_tiles(run, tiles) for tiles in foreigners]),
            "world": world},
        "own_crop_below": gate.own_crop_below([one.unfamiliarity for one in seen]),
    }


def _see(pixels: Pixels, run: Run, spec: InputSpec, options: Options) -> _Seen:
    height, width = pixels.shape[:2]
    working = working_picture(Image(pixels, width, height), options, None)
    tile = (spec.height, spec.width)
    tiles: list[NDArray[np.float32]] = []
    padded = tiling.pad(working.pixels, tile)
    flow = noting(tiling.blend(padded, tile, partial(ModelCall, ""), *OUTPUTS["centres"]), tiles)
    call = next(flow)
    while True:
        try:
            call = flow.send(run(call.pixels))
        except StopIteration as stop:
            stride = padded.shape[0] // stop.value.shape[0]
            grid = stop.value[: -(-working.height // stride), : -(-working.width // stride)]
            scale = working.width / width / stride, working.height / height / stride
            return _Seen(grid, stride, scale, unfamiliarity({FAMILIARITY: np.concatenate(tiles)}))


def _temperature(grids: Sequence[tiling.Grid], truths: Sequence[Truth]) -> float:
    cells, known = [], []
    for grid, truth in zip(grids, truths, strict=True):
        rows, columns = ((np.arange(0, side, 4) + 0.5) / side for side in grid.shape[:2])
        classes = truth.classes[np.ix_((rows * truth.classes.shape[0]).astype(int), (columns * truth.classes.shape[1]).astype(int))]
        named = classes < len(LABELS)
        cells.append(grid[::4, ::4, : len(LABELS)][named])
        known.append(classes[named])
    return round(temperature_of(np.concatenate(cells), np.concatenate(known).astype(np.int64)), 4)


def _found(seen: _Seen, truth: Truth, options: Options) -> Found:
    height, width = truth.classes.shape
    grid = seen.grid if options.apart == "centres" else seen.grid[..., : len(LABELS)]
    found = understood(grid, options, seen.stride)
    class_map = plants.paint(found.logits, width, height, seen.cells_per_pixel)
    listed, _ = plants.instances(found, class_map, LABELS, seen.cells_per_pixel)
    return Found.of(truth, [(LABELS.index(plant.label), plant.score, (plant.box.x, plant.box.y), plant.mask, plant.centroid)
                            for plant in listed])


def _of_other_fields(photos: Iterable[Pixels], run: Run, spec: InputSpec, options: Options) -> list[float]:
    """The unfamiliarity of photos as other fields, cameras and lights would give them."""
    random = np.random.default_rng(1)
    found = []
    for pixels in photos:
        working = working_picture(Image(pixels, pixels.shape[1], pixels.shape[0]), options, None).pixels
        changed = gate.changed(working, spec, random, two_band=options.camera == "red_nir")
        found += [_of_tiles(run, islice(changed, CHANGED_TILES)) for _ in range(CHANGED_PHOTOS)]
    return found


def _of_tiles(run: Run, tiles: Iterable[Pixels]) -> float:
    return unfamiliarity({FAMILIARITY: np.concatenate([run(tile)[FAMILIARITY] for tile in tiles])})
