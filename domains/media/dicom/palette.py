"""PALETTE COLOR frames to RGB (PS3.3 sections C.7.6.3.1.5 and C.7.9)."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from domains.core import CorruptMedia, Pixels, UnsupportedMedia
from domains.media.dicom.lookup import Stored, look_up

MAX_ENTRIES = 2**16

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def palette_to_rgb8(frame: Stored, dataset: Dataset) -> Pixels:
    """uint8 RGB (rows, columns, 3). Raises CorruptMedia or UnsupportedMedia for palettes that can't be unfolded."""
    for colour in ("Red", "Green", "Blue"):
        descriptor, segments = (dataset.get(f"{prefix}{colour}PaletteColorLookupTable{suffix}")
                                for prefix, suffix in (("", "Descriptor"), ("Segmented", "Data")))
        if segments is not None:
            _check_segments(np.frombuffer(segments, "<u2" if descriptor[2] == 16 else "u1"))
    low, high = int(frame.min()), int(frame.max())
    colours = np.asarray(apply_color_lut(np.arange(low, high + 1)[np.newaxis], dataset))[0, :, :3]
    if colours.dtype == np.uint16:
        colours = np.rint(colours / 257)
    return look_up(frame, low, colours.astype(np.uint8))


def _check_segments(data: Stored) -> None:
    """Raises CorruptMedia for a segmented palette of more entries than there are values.

    pydicom unfolds whatever it says: six bytes can stand for 65,535 entries, and indirect segments for any number.
    """
    at = entries = 0
    while at + 2 < len(data):
        kind, length = int(data[at]), int(data[at + 1])
        if kind == _INDIRECT:
            raise UnsupportedMedia("a DICOM palette with indirect segments isn't read here")
        entries += length
        if kind not in (_DISCRETE, _LINEAR) or entries > MAX_ENTRIES:
            raise CorruptMedia("the DICOM object is broken: its palette is malformed")
        at += 2 + (length if kind == _DISCRETE else 1)
