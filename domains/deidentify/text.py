"""Whether a picture shows text: what is given to a reader of text, and which of the words that it finds count.

The reader itself is a port: a program such as Tesseract, which runs elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from domains.core import DomainError, Pixels

MIN_CONFIDENCE = {3: 85.0, 4: 60.0}
"""Of a word of so many letters and digits, or more. What a reader makes of speckle and leaves is mostly shorter, or less
sure; docs/leaving.md has the figures.
"""
NEAR_WHITE = 225
"""Machines draw text in the lightest colours that there are, and scans hardly reach them."""

READ_SIDE = 1400
"""A picture whose longer side is smaller is enlarged, at most so many times: readers want letters of 20 pixels and more."""
MAX_ENLARGEMENT = 3.0
MAX_SIDE = 2000
"""A larger photo is made smaller: letters that nobody reads at this size identify nobody, and reading takes minutes."""

MAX_FRAMES_READ = 16


class TextSearchFailed(DomainError):
    """The reader couldn't be asked, or didn't answer."""


@dataclass(frozen=True, slots=True)
class Word:
    """Something that may be a word. `confidence`: 0 to 100."""

    text: str
    confidence: float


class TextReader(ABC):
    """Reads text off pictures."""

    @abstractmethod
    def read(self, picture: Pixels) -> Sequence[Word]:
        """The words in `picture`, uint8 grey (height, width), dark on light. Raises TextSearchFailed."""


def shows_text(pixels: Pixels, reader: TextReader) -> bool:
    """Whether `pixels`, uint8 RGB (height, width, 3), show a word, light or dark. Raises TextSearchFailed."""
    return any(_counts(word) for picture in _readable(pixels) for word in reader.read(picture))


def clip_shows_text(frames: Iterable[Pixels], count: int, reader: TextReader) -> bool:
    """The same of a clip of `count` frames: some of them, evenly spread, and the lightest and darkest that each pixel gets.

    A text that stands still shows in all of these; one that moves or flashes by may be missed.
    """
    step, lightest, darkest = -(-count // MAX_FRAMES_READ), None, None
    for index, frame in enumerate(frames):
        lightest = frame if lightest is None else np.maximum(lightest, frame)
        darkest = frame if darkest is None else np.minimum(darkest, frame)
        if index % step == 0 and shows_text(frame, reader):
            return True
    if count == 1 or lightest is None or darkest is None:
        return False
    return shows_text(lightest, reader) or shows_text(darkest, reader)


def _readable(pixels: Pixels) -> Iterator[Pixels]:
    """What is nearly white in any colour (on whatever ground), then light on dark, then dark on light; all dark on light."""
    longer = max(pixels.shape[:2])
    factor = min(READ_SIDE / longer, MAX_ENLARGEMENT) if longer < READ_SIDE else min(MAX_SIDE / longer, 1.0)
    if factor != 1:
        interpolation = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        pixels = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=interpolation), np.uint8)
    yield np.asarray(np.where(pixels.max(axis=2) > NEAR_WHITE, 0, 255), np.uint8)
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    yield np.asarray(cv2.bitwise_not(grey), np.uint8)
    yield grey


def _counts(word: Word) -> bool:
    characters = sum(map(str.isalnum, word.text))
    return any(characters >= length and word.confidence >= least for length, least in MIN_CONFIDENCE.items())
