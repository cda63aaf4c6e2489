"""The digits of the case study as one `.npz`, the form that `hedgerow model optimize` and `report` take."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.house_numbers.training.cards import SVHN_IDENTITY
from domains.house_numbers.training.data import FOLDER, LABELS, Digit, crop, digits

FILE = "digits.npz"
READY_MADE = "digits_32x32.npz"
CLOSE = 4.0
"""Grey levels by which our crop of a photo may differ from the ready-made one on average: they were resized in another way."""
HALVES = {"train": "train", "test": "val"}


def write_digits(data: Path, out: Path) -> dict[str, Any]:
    """Writes `digits.npz` into `out`: the training and the held-out digits, grey, with their photos as groups.

    Gives how many there are of each part, and by how many grey levels they differ from the ready-made crops. Raises
    FileNotFoundError where `data` lacks the data set, ValueError where its crops aren't those of its table, row by row.
    """
    found = digits(data)
    crops = np.concatenate([crop(digit, SVHN_IDENTITY.input) for digit in found])
    differ = _check(data / FOLDER / READY_MADE, found, crops)
    arrays: dict[str, NDArray[Any]] = {"label_names": np.array(LABELS)}
    for half, part in HALVES.items():
        chosen = np.array([digit.part == part for digit in found])
        arrays[f"{half}_images"] = crops[chosen]
        arrays[f"{half}_labels"] = np.array([digit.label for digit in found])[chosen]
        arrays[f"{half}_groups"] = np.array([digit.photo.name for digit in found])[chosen]
    path = out / FILE
    part_file = path.with_suffix(".part")
    with part_file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    part_file.replace(path)
    return {"digits": _counted(found), "photos": _counted({(digit.photo, digit.part): digit for digit in found}.values()),
            "differ": round(differ, 2)}


def _check(path: Path, found: list[Digit], crops: NDArray[np.uint8]) -> float:
    """That the ready-made crops are those of the table's rows: the same digits, and the same pictures but for the resizing."""
    with np.load(path, allow_pickle=False) as ready:
        images, labels = ready["images"], ready["labels"]
    if [digit.label for digit in found] != labels.tolist():
        raise ValueError(f"the rows of {path.name} aren't those of boxes.csv: their digits are others")
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]).astype(np.int16)
    differ = np.abs(grey - crops[..., 0]).mean(axis=(1, 2))
    if differ.max() > CLOSE:
        raise ValueError(f"{path.name}, row {int(differ.argmax())}, is no crop of that row's photo")
    return float(differ.mean())


def _counted(found: Any) -> dict[str, int]:
    parts = [digit.part for digit in found]
    return {part: parts.count(part) for part in ("train", "calibration", "val")}
