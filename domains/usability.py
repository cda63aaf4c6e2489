"""Whether a frame counts: the measures of domains/core/quality.py against what a model's package says of them, and what the model
itself says of the frame. No numpy.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from domains.sequences import Frame

TOO_FEW = "too_few_usable_frames"
LOW_CONFIDENCE = "low_confidence"
FOREIGN = "foreign"
"""Codes of abstentions: the first of a sequence's, the others of any answer's. Of what is foreign nothing else is said."""

DARK, BLURRED, FROZEN = "dark", "blurred", "frozen"
"""Why a frame doesn't count, beside FOREIGN."""
WORLD = "picture of this model's world"
"""What pictures are called that a model without a gate was made for."""


class Usability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where on a frame doesn't count. The defaults let every frame count; a measure that a frame lacks is not held
    against it.
    """

    bright_from: float = 0.0
    """Of less `brightness` it is dark."""
    contrast_from: float = 0.0
    """Of less `contrast` it is dark: nothing is on it."""
    sharp_from: float = 0.0
    """Of less `sharpness` it is blurred."""
    moved_from: float = 0.0
    """Where the thumbnail differs from the one before by less, in grey levels on average, it is frozen."""
    fewest_usable: Annotated[int, Meta(ge=1)] = 1
    """Frames; below, the verdict is left open."""
    least_usable_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of the frames that weren't frozen; below, the verdict is left open."""

    def fault_of(self, quality: Mapping[str, Any]) -> str:
        """`dark` or `blurred`; "" for a frame that is good in itself."""
        if _below(quality, "brightness", self.bright_from) or _below(quality, "contrast", self.contrast_from):
            return DARK
        if _below(quality, "sharpness", self.sharp_from):
            return BLURRED
        return ""


def is_foreign(result: Mapping[str, Any]) -> bool:
    """Whether a result or a verdict, as a document, says that the model was made for other pictures."""
    abstention = result.get("abstention")
    return abstention is not None and abstention["code"] == FOREIGN


Options = TypeVar("Options", bound=Usability)


def options_from(options: Mapping[str, Any], kind: type[Options]) -> Options:
    """What a sequence is opened with, checked. Raises ValueError where it is something else."""
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"sequence: {error}") from error


class Watch:
    """Looks at the frames of one sequence in turn, and counts them; keeps one thumbnail."""

    def __init__(self, usability: Usability) -> None:
        self._usability = usability
        self._shown: bytes = b""
        self.analysed = 0
        """Frames that were looked at."""
        self.faults: Counter[str] = Counter()
        """How many of them don't count, by reason."""

    @property
    def usable(self) -> int:
        """Frames that count."""
        return self.analysed - self.faults.total()

    def counts(self) -> dict[str, Any]:
        """The `frames` of a verdict's document."""
        return {"analysed": self.analysed, "usable": self.usable,
                "usable_share": round(self.usable / self.analysed, 4) if self.analysed else 0.0,
                "unusable": dict(self.faults)}

    def fault_of(self, frame: Frame) -> str:
        """Counts the next frame: as `Usability.fault_of`, else `foreign` where the model says so, else `frozen` where it shows the
        same as the last that wasn't.
        """
        fault = self._look(frame)
        self.analysed += 1
        if fault:
            self.faults[fault] += 1
        return fault

    def _look(self, frame: Frame) -> str:
        thumbnail = base64.b64decode(frame.quality.get("thumbnail", ""))
        frozen = difference(thumbnail, self._shown) < self._usability.moved_from
        if not frozen:
            self._shown = thumbnail
        fault = self._usability.fault_of(frame.quality)
        if fault:
            return fault
        if is_foreign(frame.result):
            return FOREIGN
        return FROZEN if frozen else ""


def not_of(world: str, watch: Watch) -> str:
    """Why a sequence whose frames are mostly foreign has no verdict. `world`: see Gate."""
    return f"Not a {world}: {watch.faults[FOREIGN]} of {watch.analysed} frames do not look like one."


def difference(one: bytes, other: bytes) -> float:
    """The mean absolute difference of two thumbnails in grey levels; infinite where they are no pair."""
    if not one or len(one) != len(other):
        return float("inf")
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def _below(quality: Mapping[str, Any], name: str, least: float) -> bool:
    return name in quality and quality[name] < least
