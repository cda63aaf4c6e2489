"""A decoded picture and what its header said: the only forms in which pixels reach a domain."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domains.core.results import Box

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class UltrasoundRegion:
    """One item of a DICOM Sequence of Ultrasound Regions (PS3.3 C.8.5.5), in pixels of the full-size picture.

    `x0, y0` is the first and `x1, y1` the last pixel of the region, both inside it, as in the standard.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    region_spatial_format: int
    """RegionSpatialFormat: 1 is 2D (tissue or flow), 3 is spectral; PS3.3 C.8.5.5.1.1."""
    region_data_type: int
    """RegionDataType: 1 is tissue; PS3.3 C.8.5.5.1.2."""
    spacing_x_mm: float | None = None
    """Millimetres a pixel along x, where the region is calibrated in cm (PhysicalUnitsXDirection 3), else None."""
    spacing_y_mm: float | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.x0 <= self.x1 and 0 <= self.y0 <= self.y1):
            raise ValueError(f"region corners out of order: {self.x0, self.y0, self.x1, self.y1}")

    @property
    def is_2d(self) -> bool:
        """Whether the region holds a 2D picture (and not a spectrum, a waveform or graphics)."""
        return self.region_spatial_format == 1


@dataclass(frozen=True, slots=True)
class DicomDescription:
    """The three DICOM attributes that name an exam. Free text: used to choose a model, never logged or sent back."""

    Modality: str = ""
    BodyPartExamined: str = ""
    StudyDescription: str = ""


@dataclass(frozen=True, slots=True)
class MediaHeader:
    """What is known of a file before any pixel is decoded. `width` and `height` are those of the upright picture."""

    format: str
    """jpeg, png, webp, tiff, bmp, heic or dicom."""
    width: int
    height: int
    frame_count: int = 1
    dicom: DicomDescription | None = None

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.frame_count) < 1:
            raise ValueError(f"empty picture: {self.width}x{self.height}, {self.frame_count} frames")


@dataclass(frozen=True, slots=True)
class Image:
    """One upright picture.

    `pixels`: uint8 RGB, C-contiguous, of shape (height, width, 3). It may be smaller than the file's picture where
    decoding at reduced scale was allowed: `full_width` and `full_height` are the file's own (upright) size.
    """

    pixels: Pixels
    full_width: int
    full_height: int
    frame_number: int = 1
    """Which frame of the file this is, counted from 1 as DICOM does."""
    frame_count: int = 1
    regions: tuple[UltrasoundRegion, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"pixels must be uint8 (H, W, 3), got {self.pixels.dtype} {self.pixels.shape}")
        if min(self.pixels.shape[:2]) < 1:
            raise ValueError(f"pixels must not be empty, got {self.pixels.shape}")
        if not 1 <= self.frame_number <= self.frame_count:
            raise ValueError(f"frame {self.frame_number} of {self.frame_count}")

    @property
    def height(self) -> int:
        """Rows of `pixels`."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of `pixels`."""
        return int(self.pixels.shape[1])

    def cut(self, box: Box) -> Pixels:
        """The pixels of `box`, in full-size pixels, from a picture that may have been decoded at a reduced scale."""
        scale_x, scale_y = self.width / self.full_width, self.height / self.full_height
        x0, y0 = int(box.x * scale_x), int(box.y * scale_y)
        x1 = max(x0 + 1, round((box.x + box.width) * scale_x))
        y1 = max(y0 + 1, round((box.y + box.height) * scale_y))
        return self.pixels[y0:y1, x0:x1]
