"""Grey frames to 8 bits, by a table over the stored values instead of arithmetic on every pixel.

The order is that of PS3.4 annex N: modality LUT or rescale, VOI LUT or window, inversion for MONOCHROME1. pydicom's
functions for these steps give units of their own that depend on which step was taken, so the steps stand here, straight to
0..255.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from domains.core import CorruptMedia, Pixels
from domains.media.dicom.header import PixelDescription
from domains.media.dicom.lookup import Stored, look_up

Values = NDArray[np.float64]


def grey_to_rgb8(frame: Stored, dataset: Dataset, description: PixelDescription) -> Pixels:
    """uint8 RGB (rows, columns, 3) of a MONOCHROME1 or MONOCHROME2 frame (rows, columns) of integers.

    Without a window or VOI LUT, 8 bits are shown as they are and more bits from the frame's darkest to its brightest.
    """
    low, high = int(frame.min()), int(frame.max())
    shades = _shades(np.arange(low, high + 1, dtype=np.float64), dataset, description)
    if description.photometric == "MONOCHROME1":
        shades = 255 - shades
    table = np.clip(np.rint(shades), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(look_up(frame, low, table), cv2.COLOR_GRAY2RGB), np.uint8)


def _shades(values: Values, dataset: Dataset, description: PixelDescription) -> Values:
    """0..255 (unrounded, unclipped) for each of the stored `values`."""
    real = _modality(values, dataset)
    if dataset.get("VOILUTSequence"):
        first, entries, bits = _lut(dataset.VOILUTSequence[0])
        return _through(real, first, entries * 255 / (2**bits - 1))
    window = _window(dataset)
    if window is not None:
        return _windowed(real, *window)
    if description.bits_stored <= 8:
        values = np.arange(2.0**description.bits_stored)
        if description.signed:
            values -= 2 ** (description.bits_stored - 1)
    span = _modality(values, dataset)
    low, high = float(span.min()), float(span.max())
    return (real - low) * 255 / (high - low) if high > low else np.zeros_like(real)


def _modality(values: Values, dataset: Dataset) -> Values:
    """Modality LUT or rescale: PS3.3 section C.11.1."""
    if dataset.get("ModalityLUTSequence"):
        first, entries, _ = _lut(dataset.ModalityLUTSequence[0])
        return _through(values, first, entries)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        return values
    return np.asarray(values * float(slope) + float(intercept))


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window; None where there is none or its width is impossible."""
    centre, width = (_first(dataset.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip(" \0")
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    return centre, width, function


def _first(value: str | float | Sequence[float] | None) -> float | None:
    """The first of one or many values; None where there is none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)


def _windowed(real: Values, centre: float, width: float, function: str) -> Values:
    """0..255 by the formulas of PS3.3 sections C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 and C.11.2.1.3.2."""
    if function == "SIGMOID":
        return np.asarray(255 / (1 + np.exp(-4 * (real - centre) / width)))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return np.where(real > centre, 255.0, 0.0)
    return np.clip(((real - centre) / width + 0.5) * 255, 0, 255)


def _through(values: Values, first: int, entries: Values) -> Values:
    """`values` looked up in a LUT whose first entry stands for `first`; beyond its ends the end entries hold."""
    return np.asarray(entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)])


def _lut(item: Dataset) -> tuple[int, Values, int]:
    """First value mapped, entries, and bits an entry, of a LUT item: PS3.3 section C.11.1.1."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        little_endian = item.original_encoding[1] is not False
        data = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2")
    entries = np.asarray(() if data is None else data, np.float64).reshape(-1)[: count or 2**16]
    if not len(entries) or not 1 <= bits <= 16:
        raise CorruptMedia("the DICOM object is broken: a lookup table is malformed")
    return first, entries, bits
