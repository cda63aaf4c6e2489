"""Contact sheets: answered pictures side by side with what they were and what was said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from domains.core import Pixels

GAP_PX, TEXT_PX, TITLE_PX, LINE_PX = 12, 17, 24, 23
GROUND, INK, FAINT = (250, 250, 248), (25, 25, 25), (105, 105, 105)
GOOD, BAD, OPEN = (0, 128, 96), (190, 60, 10), (120, 120, 120)
"""Colours of the bar above a caption: right, wrong, left open."""
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """Pictures beside each other, uint8 RGB, and below them a bar and a caption: the first line in ink, all others fainter."""

    pictures: tuple[Pixels, ...]
    lines: tuple[str, ...]
    bar: Colour = OPEN


def contact_sheet(title: str, tiles: Sequence[Tile], *, columns: int, width: int, notes: Sequence[str] = ()) -> Pixels:
    """The sheet, uint8 RGB (height, width, 3), as high as it must be. `notes`: lines below the tiles, such as licences.

    Raises ValueError without a tile.
    """
    if not tiles:
        raise ValueError("a contact sheet needs a tile")
    side = (width - GAP_PX) // columns - GAP_PX
    rows = [[_Laid(tile, side) for tile in tiles[at : at + columns]] for at in range(0, len(tiles), columns)]
    head = wrapped(title, width - 2 * GAP_PX, TITLE_PX)
    foot = [line for note in notes for line in wrapped(note, width - 2 * GAP_PX, TEXT_PX)]
    top = 2 * GAP_PX + len(head) * (TITLE_PX + 6)
    height = top + sum(_row_height(row) for row in rows) + len(foot) * LINE_PX + GAP_PX
    canvas = Image.new("RGB", (width, height), GROUND)
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(head):
        pen.text((GAP_PX, GAP_PX + number * (TITLE_PX + 6)), line, INK, font=_font(TITLE_PX))
    for row in rows:
        for place, laid in enumerate(row):
            laid.put(canvas, pen, GAP_PX + place * (side + GAP_PX), top, max(one.height for one in row))
        top += _row_height(row)
    for number, line in enumerate(foot):
        pen.text((GAP_PX, top + number * LINE_PX), line, FAINT, font=_font(TEXT_PX))
    return np.asarray(canvas, np.uint8)


def wrapped(text: str, width: int, size_px: int) -> list[str]:
    """The text in lines of at most `width` pixels; a longer word has a line of its own."""
    font, lines = _font(size_px), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


class _Laid:
    """A tile at its size on the sheet."""

    def __init__(self, tile: Tile, side: int) -> None:
        each = (side - 4 * (len(tile.pictures) - 1)) // len(tile.pictures)
        self.pictures = [_fitted(picture, each) for picture in tile.pictures]
        self.height: int = max(picture.shape[0] for picture in self.pictures)
        self.texts = [(line, INK if number == 0 else FAINT)
                      for number, text in enumerate(tile.lines) for line in wrapped(text, side, TEXT_PX)]
        self._bar, self._side, self._each = tile.bar, side, each

    def put(self, canvas: Image.Image, pen: ImageDraw.ImageDraw, left: int, top: int, height: int) -> None:
        """Draws it; pictures of a row stand on one line at `height`."""
        for number, picture in enumerate(self.pictures):
            x = left + number * (self._each + 4) + (self._each - picture.shape[1]) // 2
            canvas.paste(Image.fromarray(picture), (x, top + height - picture.shape[0]))
        pen.rectangle((left, top + height + 3, left + self._side - 1, top + height + 6), fill=self._bar)
        for number, (line, colour) in enumerate(self.texts):
            pen.text((left, top + height + 10 + number * LINE_PX), line, colour, font=_font(TEXT_PX))


def _row_height(row: Sequence[_Laid]) -> int:
    return max(one.height for one in row) + max(len(one.texts) for one in row) * LINE_PX + 10 + GAP_PX


def _fitted(picture: Pixels, side: int) -> Pixels:
    """At most `side` wide, and as high."""
    scale = side / max(picture.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way), np.uint8)


def _font(size_px: int) -> Any:
    return ImageFont.load_default(size_px)
