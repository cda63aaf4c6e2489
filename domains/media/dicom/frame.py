"""One frame of a DICOM object as RGB."""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGTransferSyntaxes

from domains.core import CorruptMedia, Image, MediaHeader, Pixels
from domains.media import jpeg
from domains.media.dicom.codestream import checked_frame
from domains.media.dicom.dataset import read_whole
from domains.media.dicom.grey import grey_to_rgb8
from domains.media.dicom.header import (
    GREY,
    PALETTE,
    VIDEO,
    PixelDescription,
    check_holds_picture,
    decoder_plugin,
    describe_pixels,
    frame_count,
)
from domains.media.dicom.palette import palette_to_rgb8
from domains.media.dicom.regions import read_regions
from domains.media.limits import Limits
from domains.media.raster import imdecode


def decode(data: bytes, header: MediaHeader, limits: Limits, frame_number: int) -> Image:
    """Frame `frame_number` (from 1), the only one given out, with the ultrasound regions of the object.

    Raises CorruptMedia where the pixel data are broken, cut short or not what the header says; other exceptions of
    pydicom and its decoders pass.
    """
    return OpenedObject(data, header, limits).image(frame_number)


class OpenedObject:
    """A DICOM object read once, for one frame of it or for all."""

    def __init__(self, data: bytes, header: MediaHeader, limits: Limits) -> None:
        """`header`: what `read_header` gave for `data`. Raises as `decode` does."""
        self.dataset = read_whole(data, limits)
        check_holds_picture(self.dataset, "PixelData" in self.dataset)
        self._description = description = describe_pixels(self.dataset)
        self.plugin = decoder_plugin(self.dataset.file_meta.TransferSyntaxUID, description)
        limits.check_picture(description.columns, description.rows, description.frame_bytes)
        if (description.columns, description.rows, frame_count(self.dataset)) != (header.width, header.height,
                                                                                  header.frame_count):
            raise CorruptMedia("the DICOM object is broken: it states its size twice and differently")
        self._header, self._limits = header, limits
        self.regions = read_regions(self.dataset, header.width, header.height)

    def image(self, number: int) -> Image:
        """Frame `number`, from 1. Raises as `decode` does."""
        header = self._header
        return Image(self._pixels(number), header.width, header.height, number, header.frame_count, self.regions)

    def _pixels(self, number: int) -> Pixels:
        if self.plugin == VIDEO:
            from domains.media.dicom.video import video_frame

            return video_frame(self.dataset, self._header, self._limits, number)
        if self.plugin:
            frame = decompressed(self.dataset, self._description, self.plugin, number - 1, self._header.frame_count)
        else:
            frame = pixel_array(self.dataset, index=number - 1)
        return _to_rgb8(frame, self.dataset, self._description)


def decompressed(dataset: FileDataset, description: PixelDescription, plugin: str, index: int,
                 frame_count: int) -> NDArray[np.integer]:
    """Frame `index` (from 0) of compressed pixel data: (rows, columns) as stored, or (rows, columns, 3) in RGB."""
    stream = checked_frame(dataset, description, index, frame_count)
    if not _opencv_reads(stream, description, dataset.file_meta.TransferSyntaxUID):
        if plugin == "gdcm" and description.samples > 1:
            raise CorruptMedia("the DICOM object is broken: its compressed frame has another colour space than it states")
        return pixel_array(dataset, index=index, decoding_plugin=plugin)
    flags = cv2.IMREAD_COLOR_RGB if description.samples == 3 else cv2.IMREAD_GRAYSCALE
    frame = imdecode(stream, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    return frame.view(np.int8) if description.signed else frame


def _opencv_reads(stream: bytes, description: PixelDescription, syntax: UID) -> bool:
    """Whether OpenCV gives what pydicom would, for 8-bit JPEG.

    It takes a fifth of the time for colour, and unlike gdcm it survives broken lossless streams. It chooses between RGB
    and YBR by the stream's own markers, so these must not contradict the object. A JFIF marker says YBR (ITU-T T.871
    section 7), and is right also where a device wrote RGB into the object.
    """
    if syntax not in JPEGTransferSyntaxes or description.bits_allocated != 8:
        return False
    if description.samples == 1:
        return True
    has_jfif, adobe_transform = jpeg.colour_markers(stream)
    if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        return adobe_transform is None and (has_jfif or description.photometric in ("YBR_FULL", "YBR_FULL_422"))
    return description.photometric == "RGB" and not has_jfif and not adobe_transform


def _to_rgb8(frame: NDArray[np.integer], dataset: FileDataset, description: PixelDescription) -> Pixels:
    """uint8 RGB (rows, columns, 3). pydicom 3 has turned every YBR into RGB already: once more makes it green."""
    expected = (description.rows, description.columns, 3)[: 3 if description.samples == 3 else 2]
    if frame.shape != expected:
        raise CorruptMedia("the DICOM object is broken: its frame has another size than its header states")
    if description.photometric in GREY:
        return grey_to_rgb8(frame, dataset, description)
    if description.photometric == PALETTE:
        return palette_to_rgb8(frame, dataset)
    if frame.dtype != np.uint8 or description.bits_stored != 8:
        frame = np.asarray(cv2.convertScaleAbs(frame.astype(np.uint16), alpha=255 / (2**description.bits_stored - 1)))
    return np.ascontiguousarray(frame, np.uint8)
