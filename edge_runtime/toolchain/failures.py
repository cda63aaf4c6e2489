"""The sheet of failures that lies beside a model card: small, and only of pictures that may be passed on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from domains.core import Pixels
from domains.core.reliability import Judged
from domains.core.training import Recipe
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain.examples import examples, tile_of, worst
from edge_runtime.toolchain.sheet import contact_sheet

SHOWN = 6
WIDTH_PX = 1000
MOST_BYTES = 150_000
_QUALITIES = (85, 75, 65, 50, 35)


@dataclass(frozen=True, slots=True)
class FailureSheet:
    """The picture, and whom to name for what it shows."""

    jpeg: bytes
    credits: tuple[str, ...]


def failure_sheet(recipe: Recipe, data: Path, model: LoadedModel, say: Callable[[str], None]) -> FailureSheet | None:
    """At most SHOWN held-out cases that may be shown, the worst first; None where there is none. Raises FileNotFoundError where
    `data` lacks the data set.
    """
    cases = [case for case in recipe.cases(data) if case.credit]
    found = worst(examples(recipe, cases, {recipe.identity.name: model}, say), SHOWN) if cases else []
    if not found:
        return None
    told = "held-out cases that it is wrong about" if isinstance(found[0].score, Judged) else "the worst held-out photos"
    tiles = [tile_of(recipe, example) for example in found]
    sheet = contact_sheet(f"{recipe.identity.name}: {told}", tiles, columns=2, width=WIDTH_PX)
    return FailureSheet(as_jpeg(sheet), tuple(sorted({example.case.credit for example in found})))


def as_jpeg(sheet: Pixels, most_bytes: int = MOST_BYTES) -> bytes:
    """The sheet at the best quality that isn't larger than `most_bytes`, or at the least."""
    bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    coded = b""
    for quality in _QUALITIES:
        coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(coded) <= most_bytes:
            break
    return coded
