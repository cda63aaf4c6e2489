"""SequenceOfUltrasoundRegions as geometry (PS3.3 section C.8.5.5)."""

import math
import struct

from pydicom.dataset import Dataset

from domains.core import UltrasoundRegion

_CENTIMETRES = 3
"""PhysicalUnitsXDirection and -YDirection: PS3.3 C.8.5.5.1.15."""

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)


def read_regions(dataset: Dataset, width: int, height: int) -> tuple[UltrasoundRegion, ...]:
    """The regions, clipped to the picture of `width` x `height` pixels.

    Malformed items, and those outside of the picture, are left out: devices write them, and the picture is still good.
    """
    items = dataset.get("SequenceOfUltrasoundRegions") or ()
    return tuple(region for item in items if (region := _region(item, width, height)) is not None)


def _region(item: Dataset, width: int, height: int) -> UltrasoundRegion | None:
    try:
        return UltrasoundRegion(
            x0=int(item.RegionLocationMinX0),
            y0=int(item.RegionLocationMinY0),
            # Some devices write the first pixel beyond the region here, and so the picture's own width.
            x1=min(int(item.RegionLocationMaxX1), width - 1),
            y1=min(int(item.RegionLocationMaxY1), height - 1),
            region_spatial_format=int(item.RegionSpatialFormat),
            region_data_type=int(item.RegionDataType),
            spacing_x_mm=_spacing_mm(item, "X"),
            spacing_y_mm=_spacing_mm(item, "Y"),
        )
    except _MALFORMED:
        return None


def _spacing_mm(item: Dataset, axis: str) -> float | None:
    """Millimetres a pixel along `axis`, or None where the region isn't calibrated in length."""
    if item.get(f"PhysicalUnits{axis}Direction") != _CENTIMETRES:
        return None
    centimetres = abs(float(item.get(f"PhysicalDelta{axis}") or 0))
    return 10 * centimetres if math.isfinite(centimetres) and centimetres > 0 else None
