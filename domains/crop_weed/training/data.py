"""Reads `crop_peanut`: photos and their masks by the split that its manifest gives, never parting an overlap group."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.core.training import part_of

LABELS = ("soil", "crop", "weed")


@dataclass(frozen=True, slots=True)
class Photo:
    """One field photo of the data set; `part` is train, calibration or val, `group` is the spot in the field."""

    file: Path
    mask: Path
    part: str
    group: str


def photos(data: Path) -> list[Photo]:
    """Every photo of `crop_peanut` under `data`. Raises FileNotFoundError where the folder isn't the data set."""
    folder = data / "crop_peanut"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return [
            Photo(folder / row["file"], folder / row["mask"], part_of(row["split"], row["overlap_group"]),
                  row["overlap_group"])
            for row in csv.DictReader(stream)
        ]


def read_photo(path: Path) -> Pixels:
    """uint8 RGB (height, width, 3). Raises FileNotFoundError."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """uint8 (height, width), an index into LABELS: green is crop and red is weed, as the data set's README says."""
    colours = read_photo(path)
    red, green = colours[..., 0] > 127, colours[..., 1] > 127
    return np.where(green, 1, np.where(red, 2, 0)).astype(np.uint8)
