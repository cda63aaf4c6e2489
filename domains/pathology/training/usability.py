"""From training frames to the thresholds by which frames of a clip or stream count or don't: `[domain_options.sequence]`.

Coarse on purpose: each measure is held against the range that it has in training, by itself.
"""

import base64
from collections.abc import Iterable
from itertools import pairwise

import cv2
import numpy as np

from domains.core import Outputs, Pixels
from domains.core.quality import measure
from domains.pathology.postprocess import signals
from domains.usability import difference

TAIL = 0.005
"""The share of training frames that a limit leaves out."""
SLACK = 0.1
"""By this share of the range between both tails the upper limit is then raised: other machines, other gain, int8."""
HALF = 0.5
"""A frame is blurred, dark or blank at half of what all but the tail of the training frames have."""
FEWEST_USABLE = 3
LEAST_USABLE_SHARE = 0.25
FAMILIAR = ("sharpness", "brightness", "contrast", "colourfulness", "evidence_spread")
"""Of these a frame may have too much. Too little of the first three is blurred or dark."""
JPEG_QUALITIES = (80, 85, 90, 95)
CODED_ANEW = 0.9
"""This share of pictures that are only coded anew differ by less than the threshold."""


def thresholds(answered: Iterable[tuple[Pixels, Outputs]]) -> dict[str, object]:
    """The options, rounded. `answered`: training frames, uint8 RGB (height, width, 3), with the network's outputs."""
    measured, coded = [], []
    for pixels, outputs in answered:
        measured.append({**measure(pixels), **signals(outputs)})
        coded.extend(changes_by_coding(pixels))
    ranges = {name: np.quantile([row[name] for row in measured], (TAIL, 1 - TAIL)) for name in FAMILIAR}
    return {
        "bright_from": _rounded(HALF * ranges["brightness"][0]),
        "contrast_from": _rounded(HALF * ranges["contrast"][0]),
        "sharp_from": _rounded(HALF * ranges["sharpness"][0]),
        "moved_from": _rounded(np.quantile(coded, CODED_ANEW)),
        "fewest_usable": FEWEST_USABLE,
        "least_usable_share": LEAST_USABLE_SHARE,
        "familiar": {name: [0.0, _rounded(high + SLACK * (high - low))] for name, (low, high) in ranges.items()},
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
