"""Reads `svhn_subset`: house number photos, and where in each the digits are. Split by photo, never by digit."""

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage

from domains import media
from domains.core import Box, Image, InputSpec, Pixels
from domains.core.training import part_of
from domains.house_numbers.preprocess import fit_to_input

FOLDER = "svhn_subset"
LABELS = tuple("0123456789")
HELD_OUT_SHARE = 0.15
"""Of the photos, rounded to whole ones. The data set has no split of its own."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One digit of a photo. `label`: an index, which is the digit itself; `part`: train, calibration or val."""

    photo: Path
    box: Box
    label: int
    part: str


def digits(data: Path) -> list[Digit]:
    """Every digit of `svhn_subset` under `data`, in the order of its table. Raises FileNotFoundError where it isn't there."""
    folder = data / FOLDER
    with (folder / "boxes.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    parts = _parts({row["file"] for row in rows})
    return [Digit(folder / "numbers" / row["file"], _box(row), int(row["digit"]) % 10, parts[row["file"]])
            for row in rows]


def crop(digit: Digit, spec: InputSpec) -> Pixels:
    """uint8 (1, height, width, 1), made as the gateway makes it of a photo and a box."""
    photo = _photo(digit.photo)
    return fit_to_input(Image(photo, photo.shape[1], photo.shape[0]), digit.box, spec)


def box_in_photo(digit: Digit) -> Box | None:
    """The box as callers must give it: two of the table's go a little beyond the photo. None where the gateway refuses the
    photo, of which one is too small.
    """
    with PillowImage.open(digit.photo) as photo:
        width, height = photo.size
    if min(width, height) < media.Limits().min_side:
        return None
    box = digit.box
    return Box(box.x, box.y, min(box.width, width - box.x), min(box.height, height - box.y))


@cache
def _photo(path: Path) -> Pixels:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _parts(photos: set[str]) -> dict[str, str]:
    """The part of each photo, by hashes of its name: so the parts are the same on every machine, and no photo is in two."""
    order = sorted(photos, key=lambda name: hashlib.sha256(f"held out: {name}".encode()).digest())
    held_out = set(order[:round(HELD_OUT_SHARE * len(order))])
    return {name: part_of("val" if name in held_out else "train", name) for name in photos}


def _box(row: dict[str, str]) -> Box:
    left, top = max(0, int(row["xmin"])), max(0, int(row["ymin"]))
    return Box(left, top, int(row["xmax"]) - left, int(row["ymax"]) - top)
