"""What another ultrasound device would have put into a picture: its text, its rulers and callipers, its probe's shape."""

import cv2
import numpy as np

from domains.core import Pixels

_WORDS = ("MI 1.1", "TIS 0.4", "FR 32Hz", "12.0 cm", "L12-5", "C5-2", "GN 62", "RT", "LT", "2D", "Res", "D 4.5cm", "Breast", "Lung",
          "Gen", "Pen", "F 10 MHz", "P 100%", "RT UIQ 2", "LT 9", "AX", "ANTI-RAD")
_CHANCE = 0.35
"""Of each kind of drawing, on each picture."""


def another_device(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """uint8 RGB (h, w, 3), changed in none, some or all of those ways."""
    changed = pixels.copy()
    if random.random() < _CHANCE:
        changed = _shape(changed, random)
    if random.random() < _CHANCE:
        _text(changed, random)
    if random.random() < _CHANCE:
        _ruler(changed, random)
    if random.random() < _CHANCE:
        _callipers(changed, random)
    return changed


def _shape(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Black outside of a sector or a trapezium, as convex and phased probes leave it."""
    height, width = pixels.shape[:2]
    lost = random.uniform(0.05, 0.3) * width
    keep = np.zeros((height, width), np.uint8)
    if random.random() < 0.5:
        corners = np.array([(lost, 0), (width - lost, 0), (width, height), (0, height)], np.int32)
        cv2.fillConvexPoly(keep, corners, (1,))
    else:
        centre = (width // 2, -int(random.uniform(0, 0.4) * height))
        reach = height - centre[1]
        cv2.ellipse(keep, centre, (reach, reach), 0, 90 - 48, 90 + 48, (1,), -1)
    return pixels * keep[..., None]


def _text(pixels: Pixels, random: np.random.Generator) -> None:
    height, width = pixels.shape[:2]
    for _ in range(int(random.integers(1, 5))):
        x = int(random.choice([random.uniform(0, 0.15), random.uniform(0.65, 0.9)]) * width)
        place = (x, int(random.uniform(0.05, 1) * height))
        cv2.putText(pixels, str(random.choice(_WORDS)), place, cv2.FONT_HERSHEY_SIMPLEX, random.uniform(0.25, 0.5), _ink(random), 1,
                    cv2.LINE_AA)


def _ruler(pixels: Pixels, random: np.random.Generator) -> None:
    height, width = pixels.shape[:2]
    x = int(random.choice([random.integers(2, 8), width - random.integers(4, 10)]))
    step, ink = int(random.integers(8, 28)), _ink(random)
    for y in range(int(random.integers(0, step)), height, step):
        cv2.line(pixels, (x, y), (x + int(random.integers(1, 4)), y), ink, 1)


def _callipers(pixels: Pixels, random: np.random.Generator) -> None:
    """Crosses with a dotted line between, anywhere: not only where a lesion is."""
    height, width = pixels.shape[:2]
    start, stop = random.uniform(0.1, 0.9, (2, 2)) * (width, height)
    ink = _ink(random)
    for x, y in (start, stop):
        cv2.drawMarker(pixels, (int(x), int(y)), ink, cv2.MARKER_CROSS, int(random.integers(5, 9)), 1)
    for share in np.linspace(0, 1, int(random.integers(8, 20))):
        x, y = start + share * (stop - start)
        cv2.circle(pixels, (int(x), int(y)), 0, ink, -1)


def _ink(random: np.random.Generator) -> tuple[int, int, int]:
    return ((255, 255, 255), (230, 210, 60), (60, 220, 90), (160, 160, 160))[random.integers(4)]
