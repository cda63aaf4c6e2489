"""Reads `crop_peanut` and `crop_cwfid`: photos and what is known of each pixel and plant, by the splits of their manifests,
never parting an overlap group.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.results import ClassMap
from domains.core.training import part_of

LABELS = ("soil", "crop", "weed")
UNNAMED = len(LABELS)
"""In a truth's classes: a plant, and whether it is crop or weed isn't known."""
SMALLEST_PLANT_PX = 24
"""Smaller patches of a mask are crumbs of its outlines."""
CWFID_KINDS = {"crop": 1, "weed": 2}

PlantNumbers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a photo. `classes`: (height, width), an index into LABELS or UNNAMED. `plants`: (height, width),
    the number of the plant from 1, 0 where none was told apart.
    """

    classes: ClassMap
    plants: PlantNumbers


@dataclass(frozen=True, slots=True)
class Photo:
    """One field photo. `part` is train, calibration or val, `group` is the spot in the field, `truth` reads what is known.
    `credit`: as of a Case.
    """

    file: Path
    part: str
    group: str
    truth: Callable[[], Truth]
    credit: str = ""


def peanut(data: Path) -> list[Photo]:
    """Every photo of `crop_peanut` under `data`. Raises FileNotFoundError where the folder isn't the data set."""
    folder = data / "crop_peanut"
    return [
        Photo(folder / row["file"], part_of(row["split"], row["overlap_group"]), row["overlap_group"],
              PeanutTruth(folder / row["mask"]), "Tran and Phan, Peanut-dataset, 2023, CC BY-SA 4.0")
        for row in _rows(folder)
    ]


def cwfid(data: Path) -> list[Photo]:
    """Every photo of `crop_cwfid` under `data`; each is a spot of its own. Raises FileNotFoundError as `peanut` does."""
    folder = data / "crop_cwfid"
    outlines = _outlines(folder / "instances_coco.json")
    return [
        Photo(folder / row["file"], part_of(row["split"], row["file"]), row["file"],
              CwfidTruth(folder / row["veg_mask"], outlines[row["file"]]))
        for row in _rows(folder)
    ]


def read_photo(path: Path) -> Pixels:
    """uint8 RGB (height, width, 3). Raises FileNotFoundError."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def scaled(pixels: Pixels, long_side_px: int) -> Pixels:
    """The photo with a long side of so many pixels."""
    scale = long_side_px / max(pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)


@dataclass(frozen=True, slots=True)
class PeanutTruth:
    """A mask in which green is crop and red is weed. It tells no plants apart: connected patches stand for them."""

    mask: Path

    def __call__(self) -> Truth:
        colours = read_photo(self.mask)
        red, green = colours[..., 0] > 127, colours[..., 1] > 127
        classes = np.where(green, 1, np.where(red, 2, 0)).astype(np.uint8)
        plants, done = np.zeros(classes.shape, np.int32), 0
        for kind in range(1, len(LABELS)):
            _, patches, stats, _ = cv2.connectedComponentsWithStats((classes == kind).astype(np.uint8), connectivity=8)
            kept = np.asarray(stats)[:, cv2.CC_STAT_AREA] >= SMALLEST_PLANT_PX
            kept[0] = False
            number = np.where(kept, np.cumsum(kept) + done, 0)
            plants += number[patches].astype(np.int32)
            done += int(kept.sum())
        return Truth(classes, plants)


@dataclass(frozen=True, slots=True)
class CwfidTruth:
    """A mask in which 0 is vegetation, and a loose outline for each plant: the plant is the vegetation in its outline. Some
    vegetation has no outline and stays UNNAMED.
    """

    mask: Path
    outlines: tuple[tuple[str, NDArray[np.int32]], ...]

    def __call__(self) -> Truth:
        vegetation = read_photo(self.mask)[..., 0] == 0
        classes = np.where(vegetation, UNNAMED, 0).astype(np.uint8)
        plants = np.zeros(classes.shape, np.int32)
        for number, (kind, outline) in enumerate(self.outlines, 1):
            inside = cv2.fillPoly(np.zeros(classes.shape, np.uint8), [outline], 1)
            mine = vegetation & (np.asarray(inside) > 0)
            classes[mine] = CWFID_KINDS[kind]
            plants[mine] = number
        return Truth(classes, plants)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _outlines(path: Path) -> dict[str, tuple[tuple[str, NDArray[np.int32]], ...]]:
    """File name to kind and corners (n, 2) of each of its plants."""
    found = json.loads(path.read_text(encoding="utf-8"))
    kinds = {row["id"]: row["name"] for row in found["categories"]}
    return {
        image["file_name"]: tuple(
            (kinds[row["category_id"]], np.round(np.reshape(corners, (-1, 2))).astype(np.int32))
            for row in found["annotations"] if row["image_id"] == image["id"] for corners in row["segmentation"]
        )
        for image in found["images"]
    }
