"""From frames to a verdict: the contract of a domain's `sequence.py`.

A clip or a live stream is answered frame by frame; what the frames say together is worked out where they come together,
in the gateway's own process. So nothing here, and nothing in a domain's `sequence.py`, may load numpy or OpenCV: it works on
the documents of results (domains/core/documents.py) and on what the worker measured of each frame (domains/core/quality.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One analysed frame.

    `number`: in the clip or stream, from 1. `time_s`: media time, from the first frame. `result`: the document of its
    result. `quality`: what was measured of its pixels, by name; empty where nothing was.
    """

    number: int
    time_s: float
    result: Document
    quality: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a whole sequence says. `document` has the kind `clip_classification` or `clip_tracking` (docs/api.md);
    `key_frames`: the numbers of the frames that show best what it rests on, the best first; they stand in the document too.
    """

    document: dict[str, Any]
    key_frames: tuple[int, ...]


class Sequence(ABC):
    """The frames of one clip or stream, taken in order of `number`; gaps are allowed. Memory is bounded whatever its length."""

    @abstractmethod
    def add(self, frame: Frame) -> str:
        """Takes the next frame; gives why it doesn't count (`blurred`, `frozen`, `dark`, `foreign`), or "" where it does."""

    @abstractmethod
    def running(self) -> dict[str, Any]:
        """The verdict on the last moments, which moves with the probe; small."""

    @abstractmethod
    def key_frames(self) -> tuple[int, ...]:
        """The key frames as they stand now: whoever keeps pictures for them need keep no others."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """The verdict on everything so far."""
