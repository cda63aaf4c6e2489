"""A file that was cut short on its way is refused, wherever the cut is: half a picture must not be analysed."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from domains.core import MediaError
from tests.domains.media.dicom_objects import compressed, encapsulated, file_of, image_object, jpeg2000
from tests.domains.media.pictures import exif, jpeg, opened, pillow, saved, scene, tiff

ROOT = Path(__file__).parents[3]
FILES = Path(__file__).parent / "files"
SCENE = scene()
GREY = np.asarray(pillow(SCENE).convert("L"))
CLIP = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])

WHOLE = {
    "jpeg": jpeg(SCENE),
    "jpeg with a thumbnail": jpeg(SCENE, exif=exif(6) + jpeg(scene(16, 24))),
    "progressive jpeg": jpeg(SCENE, progressive=True),
    "png": saved(pillow(SCENE), "PNG"),
    "webp": saved(pillow(SCENE), "WEBP"),
    "webp with alpha": saved(pillow(np.dstack([SCENE, GREY])), "WEBP"),
    "bmp": saved(pillow(SCENE), "BMP"),
    "tiff": saved(pillow(SCENE), "TIFF"),
    "tiff, LZW": saved(pillow(SCENE), "TIFF", compression="tiff_lzw"),
    "heic": (FILES / "upright.heic").read_bytes(),
    "dicom": file_of(image_object(SCENE[np.newaxis], "RGB")),
    "dicom clip": file_of(image_object(CLIP, "MONOCHROME2")),
    "dicom, implicit": file_of(image_object(CLIP, "MONOCHROME2"), ImplicitVRLittleEndian),
    "dicom, big-endian": file_of(image_object(CLIP, "MONOCHROME2"), ExplicitVRBigEndian),
    "dicom, deflated": file_of(image_object(CLIP, "MONOCHROME2"), DeflatedExplicitVRLittleEndian),
    "dicom, jpeg": encapsulated(image_object(SCENE[np.newaxis], "YBR_FULL"), [jpeg(SCENE)], JPEGBaseline8Bit),
    "dicom, jpeg lossless": (FILES / "jpeg_lossless.dcm").read_bytes(),
    "dicom, jpeg 2000": encapsulated(image_object(SCENE[np.newaxis], "YBR_RCT"), [jpeg2000(SCENE)], JPEG2000Lossless),
    "dicom, jpeg-ls": compressed(image_object(CLIP, "MONOCHROME2"), JPEGLSLossless),
    "dicom, rle": compressed(image_object(CLIP, "MONOCHROME2"), RLELossless),
    "a real clip": (ROOT / "samples" / "ultrasound_clip.dcm").read_bytes(),
    "a real photo": (ROOT / "samples" / "field.jpg").read_bytes(),
}

TAIL = {name: 4 for name in WHOLE if name.startswith(("dicom, jpeg", "dicom, rle", "a real clip"))}
"""Bytes at the end that carry nothing: the length, always zero, of the item that ends compressed pixel data."""


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_file_is_refused(name: str) -> None:
    payload = WHOLE[name]
    assert opened(payload).pixels.size
    end = len(payload) - TAIL.get(name, 0)
    for at in sorted({*range(0, end, max(end // 60, 1)), *range(max(end - 20, 0), end)}):
        try:
            opened(payload[:at])
        except MediaError:
            continue
        pytest.fail(f"{at} of {len(payload)} bytes were taken for a whole picture")


# Not every format can tell: zeros are as good as any pixels where nothing is compressed, and in lossy WebP.
@pytest.mark.parametrize("name", ["jpeg", "jpeg with a thumbnail", "progressive jpeg", "png", "tiff, LZW", "heic",
                                  "dicom, deflated", "dicom, jpeg", "dicom, jpeg lossless", "dicom, jpeg 2000",
                                  "dicom, jpeg-ls", "dicom, rle", "a real clip", "a real photo"])
def test_a_file_whose_end_was_never_written_is_refused(name: str) -> None:
    """An interrupted copy onto a preallocated file: the right length, and zeros from somewhere on."""
    half = len(WHOLE[name]) // 2
    with pytest.raises(MediaError):
        opened(WHOLE[name][:half] + bytes(len(WHOLE[name]) - half))


def test_a_jpeg_cut_behind_its_end_is_whole() -> None:
    """Phones write further pictures and metadata behind the first one; losing those loses nothing of it."""
    phone = jpeg(SCENE) + jpeg(scene(16, 24)) + b"metadata"
    for cut in (1, 20, len(phone) - len(jpeg(SCENE))):
        assert opened(phone[:-cut]).pixels.shape == SCENE.shape


def test_a_tiff_of_one_missing_strip_is_refused() -> None:
    with pytest.raises(MediaError, match="strips"):
        opened(tiff(SCENE, 2, more={278: 30}))
