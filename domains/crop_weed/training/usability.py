"""From training photos to the thresholds by which frames of a field video count or don't: `[domain_options.sequence]`."""

import base64
from collections.abc import Iterable

import numpy as np

from domains.core import Pixels
from domains.core.quality import measure
from domains.usability import difference

TAIL = 0.005
"""The share of photos that a limit leaves out."""
HALF = 0.5
"""A frame is blurred, dark or blank at half of what all but the tail of the photos have."""
VIEW = 2 / 3
"""A camera that is closer to the ground than the photos' shows this part of them: it is measured as well."""
STILL_TAIL = 0.05
FEWEST_USABLE = 1
LEAST_USABLE_SHARE = 0.25


def thresholds(pictures: Iterable[Pixels]) -> dict[str, object]:
    """The options, rounded. `pictures`: training photos, uint8 RGB (height, width, 3). A camera has moved where the
    thumbnail changes by half of what a step of one pixel over the photos changes it.
    """
    measured, steps = [], []
    for pixels in pictures:
        height, width = (int(side * VIEW) for side in pixels.shape[:2])
        views = [measure(np.ascontiguousarray(pixels[top : top + height, :width])) for top in (0, 1)]
        measured += [measure(pixels), views[0]]
        steps.append(difference(*(base64.b64decode(view["thumbnail"]) for view in views)))
    least = {name: np.quantile([row[name] for row in measured], TAIL) for name in ("brightness", "contrast", "sharpness")}
    return {
        "bright_from": _half(least["brightness"]),
        "contrast_from": _half(least["contrast"]),
        "sharp_from": _half(least["sharpness"]),
        "moved_from": _half(np.quantile(steps, STILL_TAIL)),
        "fewest_usable": FEWEST_USABLE,
        "least_usable_share": LEAST_USABLE_SHARE,
    }


def _half(value: float) -> float:
    return round(float(HALF * value), 4)
