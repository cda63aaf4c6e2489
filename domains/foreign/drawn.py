"""Foreign pictures that are drawn: documents, menus of devices, graphics, blank and noisy frames. uint8 RGB (h, w, 3)."""

import cv2
import numpy as np

from domains.core import Pixels

_WORDS = ("patient", "report", "date", "left", "right", "findings", "none", "depth", "gain", "field", "total", "invoice", "page",
          "signed", "normal", "follow-up", "weeks", "scan", "image", "of", "the", "and", "with", "no", "12", "2024", "3.5", "cm")
_MENU = ("PRESET", "Abdomen", "Cardiac", "MSK", "Vascular", "Settings", "Wi-Fi", "Battery 72%", "New exam", "Patient ID", "Gain",
         "Depth 12 cm", "Freeze", "Save", "Cancel", "Search", "Worklist", "Transfer", "About", "Log out", "Probe: C5-2", "MI 1.1")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def document(random: np.random.Generator) -> Pixels:
    """A page with a heading, lines of words and perhaps a table; photographed a little askew, in uneven light."""
    height, width = (int(side) for side in random.integers((480, 360), (720, 620)))
    page = np.full((height, width, 3), 255, np.uint8) - random.integers(0, 30, 3).astype(np.uint8)
    font = int(random.choice(_FONTS))
    size = random.uniform(0.35, 0.7)
    cv2.putText(page, str(random.choice(_WORDS)).upper(), (24, 48), font, 2 * size, (10, 10, 10), 2, cv2.LINE_AA)
    for y in range(90, height - 20, int(38 * size) + 4):
        words = " ".join(random.choice(_WORDS, int(random.integers(2, 9))))
        cv2.putText(page, words, (24, y), font, size, (20, 20, 20), 1, cv2.LINE_AA)
    if random.random() < 0.5:
        left, top = int(width * 0.1), int(height * random.uniform(0.4, 0.7))
        for row in range(5):
            cv2.rectangle(page, (left, top + 24 * row), (int(width * 0.9), top + 24 * row + 24), (60, 60, 60), 1)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-6, 6), random.uniform(0.9, 1.1))
    askew = cv2.warpAffine(page, turn, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=(90, 80, 70))
    light = np.linspace(random.uniform(0.6, 1), random.uniform(0.8, 1), width)[None, :, None]
    return _shown(askew * light, random)


def menu(random: np.random.Generator) -> Pixels:
    """A device's menu: a dark or bright ground, buttons and lists with words on them."""
    height, width = (int(side) for side in random.integers((400, 400), (720, 900)))
    dark = random.random() < 0.7
    ground, ink = (random.integers(0, 60, 3), (225, 225, 225)) if dark else (random.integers(200, 256, 3), (30, 30, 30))
    screen = np.full((height, width, 3), ground, np.uint8)
    columns, rows = int(random.integers(1, 5)), int(random.integers(3, 9))
    for row in range(rows):
        for column in range(columns):
            if random.random() < 0.15:
                continue
            x, y = 16 + column * width // columns, 20 + row * height // rows
            corner = (x + width // columns - 28, y + height // rows - 16)
            button = tuple(int(value) for value in random.integers(20, 120, 3)) if dark else (215, 220, 225)
            cv2.rectangle(screen, (x, y), corner, button, -1 if random.random() < 0.7 else 2)
            cv2.putText(screen, str(random.choice(_MENU)), (x + 8, (y + corner[1]) // 2 + 6), int(random.choice(_FONTS)),
                        random.uniform(0.4, 0.9), ink, 1, cv2.LINE_AA)
    return _shown(screen, random)


def graphic(random: np.random.Generator) -> Pixels:
    """Bars, lines and discs in flat colours, as in charts and logos."""
    side = int(random.integers(300, 600))
    picture = np.full((side, side, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(int(random.integers(3, 14))):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        (x0, y0), (x1, y1) = random.integers(0, side, (2, 2)).tolist()
        kind = random.integers(3)
        if kind == 0:
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, -1)
        elif kind == 1:
            cv2.circle(picture, (x0, y0), int(random.integers(8, side // 3)), colour, -1)
        else:
            cv2.line(picture, (x0, y0), (x1, y1), colour, int(random.integers(1, 12)))
    return picture


def blank(random: np.random.Generator) -> Pixels:
    """One level or colour, perhaps with a faint slope across, as of a covered lens or a probe in the air."""
    side = int(random.integers(200, 500))
    base = random.integers(0, 256, 3) if random.random() < 0.4 else np.full(3, random.integers(0, 256))
    slope = np.linspace(-1, 1, side)[:, None, None] * random.uniform(0, 12)
    return _shown(np.broadcast_to(base + slope, (side, side, 3)), random)


def noise(random: np.random.Generator) -> Pixels:
    """White or coloured noise at some grain, grey or in colour."""
    side, grain = int(random.integers(200, 500)), int(random.choice([1, 2, 4, 8, 16]))
    channels = int(random.choice([1, 3]))
    level = random.uniform(60, 200)
    cells = random.normal(level, random.uniform(10, 90), (side // grain + 1, side // grain + 1, channels))
    way = cv2.INTER_LINEAR if random.random() < 0.5 else cv2.INTER_NEAREST
    fine = cv2.resize(cells.astype(np.float32), (side, side), interpolation=way).reshape(side, side, channels)
    return _shown(np.broadcast_to(fine, (side, side, 3)), random)


def _shown(picture: np.ndarray, random: np.random.Generator) -> Pixels:
    """With a little sensor noise, in 8 bits."""
    noisy = picture + random.normal(0, random.uniform(0, 3), picture.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)
