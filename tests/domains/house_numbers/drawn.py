"""House numbers drawn with OpenCV's letters: SVHN's photos may not be shipped."""

import csv
from pathlib import Path

import cv2
import numpy as np

from domains.core import Pixels

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
SIDE = 64


def digit(value: int, *, font: int = cv2.FONT_HERSHEY_SIMPLEX, ink: int = 220, wall: int = 70, thickness: int = 6) -> Pixels:
    """One digit, a little out of focus, uint8 RGB (64, 64, 3)."""
    pixels = np.full((SIDE, SIDE, 3), wall, np.uint8)
    (width, height), _ = cv2.getTextSize(str(value), font, 2.0, thickness)
    cv2.putText(pixels, str(value), ((SIDE - width) // 2, (SIDE + height) // 2), font, 2.0, (ink, ink, ink), thickness, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.5), np.uint8)


def png(pixels: Pixels) -> bytes:
    """As a file."""
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1])


def data_folder(folder: Path, photos: int = 60) -> Path:
    """A folder that holds `svhn_subset` in small: `photos` of two digits each, their boxes and their crops."""
    random = np.random.default_rng(5)
    home = folder / "svhn_subset"
    (home / "numbers").mkdir(parents=True)
    rows, crops, labels = [], [], []
    for number in range(1, photos + 1):
        values = [(2 * number) % 10, (2 * number + 1) % 10]
        wall, ink = random.permutation([int(random.integers(20, 100)), int(random.integers(160, 240))]).tolist()
        drawn = [digit(value, font=FONTS[number % 3], ink=ink, wall=wall) for value in values]
        (home / "numbers" / f"{number}.png").write_bytes(png(np.hstack(drawn)))
        for place, value in enumerate(values):
            rows.append([f"{number}.png", value, place * SIDE, 0, (place + 1) * SIDE, SIDE])
            crops.append(cv2.resize(drawn[place], (32, 32), interpolation=cv2.INTER_LINEAR))
            labels.append(value)
    with (home / "boxes.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["file", "digit", "xmin", "ymin", "xmax", "ymax"], *rows])
    np.savez_compressed(home / "digits_32x32.npz", images=np.stack(crops), labels=np.array(labels, np.uint8))
    return folder
