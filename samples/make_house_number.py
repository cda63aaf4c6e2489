"""Writes house_number.png: `python samples/make_house_number.py`. Drawn, since SVHN's photos may not be shipped."""

from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).parent
WALL, PAINT = (120, 84, 64), (220, 232, 236)
"""Blue, green, red."""


def house_number() -> np.ndarray:
    """The number 27 on a plate, a little out of focus: uint8 BGR (96, 120, 3)."""
    plate = np.full((96, 120, 3), WALL, np.uint8)
    for digit, left in (("2", 13), ("7", 63)):
        cv2.putText(plate, digit, (left, 80), cv2.FONT_HERSHEY_DUPLEX, 3.0, PAINT, 6, cv2.LINE_AA)
    return cv2.GaussianBlur(plate, (0, 0), 1.2)


if __name__ == "__main__":
    cv2.imwrite(str(FOLDER / "house_number.png"), house_number())
