"""From a decoded picture to the model's input: the tissue region, stretched to the input's size."""

from domains.core import Box, Image, InputSpec, Pixels, UltrasoundRegion
from domains.core.resize import averaged

SMALLEST_SIDE = 16
"""A region of fewer pixels a side is no picture of tissue; the whole picture is taken instead."""
TISSUE = 1
"""RegionDataType of tissue, PS3.3 C.8.5.5.1.2."""


def seen_box(image: Image) -> Box:
    """The part of the full-size picture to analyse: its largest 2D tissue region (any 2D region where none is marked as
    tissue), else the whole. Burned-in names, scales and logos mostly lie outside of it.
    """
    whole = Box(0, 0, image.full_width, image.full_height)
    boxes = [(region.region_data_type == TISSUE, _box_of(region, image)) for region in image.regions if region.is_2d]
    usable = [(tissue, box.width * box.height, box) for tissue, box in boxes
              if box is not None and min(box.width, box.height) >= SMALLEST_SIDE]
    return max(usable, key=lambda found: found[:2])[2] if usable else whole


def fit_to_input(pixels: Pixels, spec: InputSpec) -> Pixels:
    """uint8 (1, height, width, 3), stretched: aspect varies in training too, and nothing at the edges is lost."""
    return averaged(pixels, spec.width, spec.height)[None]


def _box_of(region: UltrasoundRegion, image: Image) -> Box | None:
    x1, y1 = min(region.x1, image.full_width - 1), min(region.y1, image.full_height - 1)
    if region.x0 > x1 or region.y0 > y1:
        return None
    return Box(region.x0, region.y0, x1 - region.x0 + 1, y1 - region.y0 + 1)
