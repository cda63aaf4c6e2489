"""Contact sheets: every picture is on it, and every caption can be read."""

import numpy as np
import pytest

from edge_runtime.toolchain.sheet import BAD, GOOD, GROUND, Tile, contact_sheet, wrapped


def flat(colour: tuple[int, int, int], height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def pixels_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((sheet == colour).all(axis=-1).sum())


def test_every_picture_and_bar_is_on_the_sheet_at_the_width_asked_for() -> None:
    red, blue = (200, 0, 0), (0, 0, 200)
    tiles = [Tile((flat(red), flat(blue)), ("right",), GOOD), Tile((flat(red, 90, 30),), ("wrong",), BAD)] * 2
    sheet = contact_sheet("Title", tiles, columns=2, width=400)
    assert sheet.shape[1] == 400
    for colour in (red, blue, GOOD, BAD):
        assert pixels_of(sheet, colour) > 500
    assert tuple(sheet[-1, -1]) == GROUND


def test_a_long_caption_takes_lines_instead_of_leaving_its_tile() -> None:
    words = "was malignant, said benign with a probability that is far too high for what it is worth"
    lines = wrapped(words, 200, 17)
    assert " ".join(lines) == words
    assert len(lines) > 2
    short = contact_sheet("T", [Tile((flat((0, 0, 0)),), ("a",))], columns=1, width=220)
    long = contact_sheet("T", [Tile((flat((0, 0, 0)),), (words,))], columns=1, width=220)
    assert long.shape[0] - short.shape[0] == 23 * (len(lines) - 1)


def test_credits_stand_below_the_pictures() -> None:
    tile = Tile((flat((0, 0, 0)),), ("a",))
    plain, credited = (contact_sheet("T", [tile], columns=1, width=300, notes=notes) for notes in ((), ("Somebody, CC BY 4.0",)))
    assert credited.shape[0] == plain.shape[0] + 23


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a tile"):
        contact_sheet("T", [], columns=1, width=100)
