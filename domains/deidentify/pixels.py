"""The pixel data of a DICOM object: black outside of the ultrasound regions, and nothing hidden beside the picture.

Native pixel data keep their form. Compressed frames that had to be touched become JPEG-LS lossless: so they lose nothing
but what was blanked. Frames that are left as they are lose their comments and application segments.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from domains.core import UltrasoundRegion
from domains.deidentify.jpeg_segments import bare_jpeg
from domains.deidentify.outcome import HeldBack
from domains.media.dicom.codestream import checked_frame
from domains.media.dicom.frame import decompressed
from domains.media.dicom.header import VIDEO, PixelDescription, decoder_plugin, frame_count

Mask = NDArray[np.bool_]
"""(rows, columns): what stays."""

_GRAPHICS = frozenset({0, 5})
"""RegionSpatialFormat none and graphics, PS3.3 C.8.5.5.1.1: what a machine draws there may be text."""
_SUBSAMPLED = "YBR_FULL_422"
_WIDTHS = {8: "u1", 16: "u2"}


def kept_pixels(regions: Sequence[UltrasoundRegion], description: PixelDescription) -> Mask | None:
    """Which pixels lie in a region that shows something scanned; None where no region does."""
    keep = np.zeros((description.rows, description.columns), bool)
    for region in regions:
        if region.region_spatial_format not in _GRAPHICS:
            keep[region.y0 : region.y1 + 1, region.x0 : region.x1 + 1] = True
    return keep if keep.any() else None


def clean_pixels(dataset: FileDataset, description: PixelDescription, keep: Mask | None) -> bool:
    """Blanks what isn't kept in every frame, in place; says whether anything was blanked. None keeps all.

    Raises HeldBack for what can't be done, and as decoding does.
    """
    syntax, count = dataset.file_meta.TransferSyntaxUID, frame_count(dataset)
    blank = keep is not None and not keep.all()
    kept = keep if keep is not None else np.ones((description.rows, description.columns), bool)
    plugin = decoder_plugin(syntax, description)
    if plugin == VIDEO:
        raise HeldBack("the object holds a video stream, which can't be blanked without loss")
    if not plugin:
        _set_pixel_data(dataset, _native(dataset, description, kept, count), "OB" if description.bits_allocated == 8 else "OW")
    elif blank or syntax not in {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes}:
        _set_pixel_data(dataset, encapsulate(list(_encoded(dataset, description, plugin, kept, count))), "OB")
        _describe_encoded(dataset, description)
    else:
        frames = [bare_jpeg(checked_frame(dataset, description, index, count)) for index in range(count)]
        _set_pixel_data(dataset, encapsulate(frames), "OB")
    for table in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if table in dataset:
            del dataset[table]
    return blank


def _set_pixel_data(dataset: FileDataset, content: bytes, vr: str) -> None:
    encapsulated = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = vr
    dataset["PixelData"].is_undefined_length = encapsulated


def _describe_encoded(dataset: FileDataset, description: PixelDescription) -> None:
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    if description.samples == 3:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0


def _encoded(dataset: FileDataset, description: PixelDescription, plugin: str, keep: Mask, count: int) -> Iterator[bytes]:
    encoder = get_encoder(JPEGLSLossless)
    fill = _fill("RGB" if description.samples == 3 else description.photometric, description)
    for index in range(count):
        frame = np.array(decompressed(dataset, description, plugin, index, count))
        if frame.shape[:2] != keep.shape:
            raise HeldBack("the object is broken: its frame has another size than its header states")
        frame[~keep] = fill[0] if frame.ndim == 2 else fill
        yield encoder.encode(
            np.ascontiguousarray(frame),
            rows=description.rows, columns=description.columns, samples_per_pixel=description.samples,
            number_of_frames=1, bits_allocated=8 * frame.itemsize, bits_stored=description.bits_stored,
            pixel_representation=int(description.signed), planar_configuration=0,
            photometric_interpretation="RGB" if description.samples == 3 else description.photometric,
        )


def _native(dataset: FileDataset, description: PixelDescription, keep: Mask, count: int) -> bytes:
    if description.bits_allocated not in _WIDTHS:
        raise HeldBack(f"pixel data of {description.bits_allocated} bits a sample can't be blanked here")
    content, size = bytes(dataset.PixelData), description.rows * description.columns
    big_endian = dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    in_words = big_endian and description.bits_allocated == 8 and dataset["PixelData"].VR == "OW"
    if in_words:
        content = np.frombuffer(content[: len(content) // 2 * 2], "u2").byteswap().tobytes()
    half = description.photometric == _SUBSAMPLED and len(content) < count * size * 3
    samples = count * size * (2 if half else description.samples)
    dtype = np.dtype((">" if big_endian else "<") + _WIDTHS[description.bits_allocated])
    if len(content) < samples * dtype.itemsize:
        raise HeldBack("the object is broken or cut short: pixel data are missing")
    values = np.frombuffer(content, dtype, samples).copy()
    _blank(values, description, keep, count, half=half, planes=int(dataset.get("PlanarConfiguration") or 0) == 1)
    _clear_unused_bits(values, description)
    cleaned = values.tobytes()
    if in_words:
        cleaned = np.frombuffer(cleaned + b"\0" * (len(cleaned) % 2), "u2").byteswap().tobytes()
    return cleaned


def _blank(
    values: NDArray[np.unsignedinteger], description: PixelDescription, keep: Mask, count: int, *, half: bool, planes: bool
) -> None:
    """Blanks `values` of all frames in place, however they lie: pixel by pixel, in planes, or two pixels in four bytes."""
    rows, columns, fill = description.rows, description.columns, _fill(description.photometric, description)
    if half:
        if columns % 2:
            raise HeldBack("pixel data of an odd width with half as much colour can't be blanked here")
        pairs = values.reshape(count, rows, columns // 2, 4)
        pairs[:, ~(keep[:, ::2] & keep[:, 1::2])] = (fill[0], fill[0], fill[1], fill[2])
    elif description.samples == 1:
        values.reshape(count, rows, columns)[:, ~keep] = fill[0]
    elif planes:
        for sample in range(3):
            values.reshape(count, 3, rows, columns)[:, sample, ~keep] = fill[sample]
    else:
        values.reshape(count, rows, columns, 3)[:, ~keep] = fill


def _fill(photometric: str, description: PixelDescription) -> tuple[int, int, int]:
    """Black, sample by sample; index 0 of a palette, whatever colour that is."""
    if photometric == "MONOCHROME1" and not description.signed:
        return ((1 << description.bits_stored) - 1,) * 3
    if photometric in {_SUBSAMPLED, "YBR_FULL"}:
        return (0, 1 << (description.bits_stored - 1), 1 << (description.bits_stored - 1))
    return (0, 0, 0)


def _clear_unused_bits(values: NDArray[np.unsignedinteger], description: PixelDescription) -> None:
    """The bits that a sample leaves free held overlays in old objects (PS3.5 section 8.1.1): drawings, and text."""
    unused = description.bits_allocated - description.bits_stored
    if not unused:
        return
    if description.signed:
        native = values.astype(values.dtype.newbyteorder("=")).view(f"i{values.itemsize}")
        values[...] = ((native << unused) >> unused).view(f"u{values.itemsize}")
    else:
        values &= values.dtype.type((1 << description.bits_stored) - 1)
