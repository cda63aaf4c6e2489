"""From training frames to the thresholds by which frames of a clip or stream count or don't: `[domain_options.sequence]`."""

import base64
from collections.abc import Iterable
from itertools import pairwise

import cv2
import numpy as np

from domains.core import Pixels
from domains.core.quality import measure
from domains.usability import difference

TAIL = 0.005
"""The share of training frames that a limit leaves out."""
HALF = 0.5
"""A frame is blurred, dark or blank at half of what all but the tail of the training frames have."""
FEWEST_USABLE = 3
LEAST_USABLE_SHARE = 0.25
JPEG_QUALITIES = (80, 85, 90, 95)
CODED_ANEW = 0.9
"""This share of pictures that are only coded anew differ by less than the threshold."""


def thresholds(pictures: Iterable[Pixels]) -> dict[str, object]:
    """The options, rounded. `pictures`: training frames, uint8 RGB (height, width, 3)."""
    measured, coded = [], []
    for pixels in pictures:
        measured.append(measure(pixels))
        coded.extend(changes_by_coding(pixels))
    least = {name: np.quantile([row[name] for row in measured], TAIL) for name in ("brightness", "contrast", "sharpness")}
    return {
        "bright_from": _rounded(HALF * least["brightness"]),
        "contrast_from": _rounded(HALF * least["contrast"]),
        "sharp_from": _rounded(HALF * least["sharpness"]),
        "moved_from": _rounded(np.quantile(coded, CODED_ANEW)),
        "fewest_usable": FEWEST_USABLE,
        "least_usable_share": LEAST_USABLE_SHARE,
    }


def changes_by_coding(pixels: Pixels) -> list[float]:
    """By how much the thumbnail of one picture differs between codings as JPEG, in grey levels."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    thumbnails = []
    for quality in JPEG_QUALITIES:
        coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        again = cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
        thumbnails.append(base64.b64decode(measure(np.asarray(again, np.uint8))["thumbnail"]))
    return [difference(one, other) for one, other in pairwise(thumbnails)]


def _rounded(value: float) -> float:
    return round(float(value), 4)
