"""Readers of text for the tests, and pictures that show some."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from domains.core import Pixels
from domains.deidentify import Deidentified, Held, TextReader, TextSearchFailed, Word, deidentify
from tests.domains.media.pictures import scene

KEY = b"a tenant's secret key, 32 bytes."
BANNER = 24
"""Rows of the banner at the top of `with_banner`."""


class Blind(TextReader):
    """Sees no text, and keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Pixels] = []

    def read(self, picture: Pixels) -> Sequence[Word]:
        """Nothing."""
        self.shown.append(picture)
        return []


class Sees(TextReader):
    """Sees the same words in every picture."""

    def __init__(self, *words: Word) -> None:
        self._words = words or (Word("MAIER", 95.0),)

    def read(self, picture: Pixels) -> Sequence[Word]:
        """The words that it was made with."""
        assert picture.ndim == 2
        return self._words


class OutOfOrder(TextReader):
    """Fails."""

    def read(self, picture: Pixels) -> Sequence[Word]:
        """Raises TextSearchFailed."""
        raise TextSearchFailed(f"no answer for {picture.shape}")


def cleaned(payload: bytes, media_format: str, reader: TextReader | None = None, *, key: bytes = KEY, keep_gps: bool = False) -> Deidentified:
    """What may leave; the test fails where nothing may."""
    found = deidentify(payload, media_format, tenant_key=key, keep_gps=keep_gps, find_text=reader or Blind())
    assert isinstance(found, Deidentified), found
    return found


def reason_held(payload: bytes, media_format: str, reader: TextReader | None = None, *, keep_gps: bool = False) -> str:
    """Why it is held; the test fails where it may leave."""
    found = deidentify(payload, media_format, tenant_key=KEY, keep_gps=keep_gps, find_text=reader or Blind())
    assert isinstance(found, Held), found
    return found.reason


def with_banner(text: str = "MAIER ROSA  1950-01-31", height: int = 240, width: int = 480) -> Pixels:
    """A coloured scene under a banner that names somebody, light on black. uint8 RGB."""
    picture = scene(height, width)
    picture[:BANNER] = 0
    cv2.putText(picture, text, (6, BANNER - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def speckle(height: int, width: int, seed: int = 7) -> NDArray[np.uint8]:
    """Grey noise, smoothed as an ultrasound picture is."""
    noise = np.random.default_rng(seed).integers(0, 200, (height, width), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (5, 3), 0), np.uint8)
