"""DICOM objects in every transfer syntax and colour space that ultrasound devices write."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    RTPlanStorage,
)

from domains.core import (
    CorruptMedia,
    DicomDescription,
    InvalidParameter,
    MediaError,
    UltrasoundRegion,
    UnsupportedMedia,
)
from domains.media import read_header
from tests.domains.media.dicom_objects import compressed, encapsulated, file_of, image_object, jpeg2000
from tests.domains.media.pictures import LIMITS, difference, exif, jpeg, opened, pillow, saved, scene

FILES = Path(__file__).parent / "files"
SAMPLES = Path(__file__).parents[3] / "samples"
SCENE = scene()
GREY = np.asarray(pillow(SCENE).convert("L"))
GREY_RGB = np.dstack([GREY] * 3)
SPREAD_RGB = np.rint((GREY_RGB - float(GREY.min())) * 255 / (GREY.max() - float(GREY.min())))
YBR = np.asarray(pillow(SCENE).convert("YCbCr"))
CLIP = np.stack([GREY, GREY[::-1], 255 - GREY])


def still(pixels: np.ndarray, photometric: str) -> Dataset:
    """An object of one frame."""
    return image_object(pixels[np.newaxis], photometric)


COLOUR = {
    "explicit": (file_of(still(SCENE, "RGB"), ExplicitVRLittleEndian), SCENE),
    "implicit": (file_of(still(SCENE, "RGB"), ImplicitVRLittleEndian), SCENE),
    "big-endian": (file_of(still(SCENE, "RGB"), ExplicitVRBigEndian), SCENE),
    "deflated": (file_of(still(SCENE, "RGB"), DeflatedExplicitVRLittleEndian), SCENE),
    "RLE": (compressed(still(SCENE, "RGB"), RLELossless), SCENE),
    "RLE, YBR_FULL": (compressed(still(YBR, "YBR_FULL"), RLELossless), SCENE),
    "JPEG-LS": (compressed(still(SCENE, "RGB"), JPEGLSLossless), SCENE),
    "JPEG 2000": (encapsulated(still(SCENE, "YBR_RCT"), [jpeg2000(SCENE)], JPEG2000Lossless), SCENE),
    "JPEG, YBR_FULL": (encapsulated(still(SCENE, "YBR_FULL"), [jpeg(SCENE)], JPEGBaseline8Bit), SCENE),
    "JPEG, YBR_FULL_422": (encapsulated(still(SCENE, "YBR_FULL_422"), [jpeg(SCENE, subsampling=1)], JPEGBaseline8Bit),
                           SCENE),
    "JPEG, RGB": (encapsulated(still(SCENE, "RGB"), [jpeg(SCENE, keep_rgb=True)], JPEGBaseline8Bit), SCENE),
    "JPEG, RGB in the header but YBR in the JPEG": (
        encapsulated(still(SCENE, "RGB"), [jpeg(SCENE)], JPEGBaseline8Bit), SCENE),
    "JPEG, with an EXIF orientation that DICOM doesn't know": (
        encapsulated(still(SCENE, "YBR_FULL"), [jpeg(SCENE, exif=exif(6))], JPEGBaseline8Bit), SCENE),
    "JPEG, grey": (encapsulated(still(GREY, "MONOCHROME2"), [saved(pillow(GREY), "JPEG", quality=98)], JPEGBaseline8Bit),
                   GREY_RGB),
    "JPEG lossless": ((FILES / "jpeg_lossless.dcm").read_bytes(), GREY_RGB),
    "JPEG lossless, colour": ((FILES / "jpeg_lossless_rgb.dcm").read_bytes(), SCENE),
    "JPEG lossless, 16 bits": ((FILES / "jpeg_lossless_16_bits.dcm").read_bytes(), SPREAD_RGB),
    "YBR_FULL": (file_of(still(YBR, "YBR_FULL")), SCENE),
    "RGB in planes": (file_of(image_object(np.moveaxis(SCENE, 2, 0).reshape(1, 60, 80, 3), "RGB", PlanarConfiguration=1)),
                      SCENE),
    "RGB of 16 bits": (file_of(still(SCENE.astype(np.uint16) * 257, "RGB")), SCENE),
}


@pytest.mark.parametrize("name", COLOUR)
def test_colours_are_those_that_the_device_showed(name: str) -> None:
    payload, expected = COLOUR[name]
    header, image = read_header(payload, LIMITS), opened(payload)
    assert (header.format, header.width, header.height, header.frame_count) == ("dicom", 80, 60, 1)
    assert difference(image.pixels, expected) < 3
    assert image.pixels.flags.c_contiguous


def test_pixels_uncompressed_as_ybr_422_are_not_green() -> None:
    pairs = YBR.reshape(60, 40, 2, 3)
    chroma = pairs[..., 1:].mean(axis=2)
    subsampled = np.concatenate([pairs[..., 0], chroma.astype(np.uint8)], axis=2)  # Y1 Y2 Cb Cr: PS3.3 C.7.6.3.1.2
    dataset = still(SCENE, "YBR_FULL_422")
    dataset.PixelData = subsampled.tobytes()
    assert difference(opened(file_of(dataset)).pixels, SCENE) < 3


CLIPS = {
    "explicit": file_of(image_object(CLIP, "MONOCHROME2")),
    "implicit": file_of(image_object(CLIP, "MONOCHROME2"), ImplicitVRLittleEndian),
    "deflated": file_of(image_object(CLIP, "MONOCHROME2"), DeflatedExplicitVRLittleEndian),
    "RLE": compressed(image_object(CLIP, "MONOCHROME2"), RLELossless),
    "JPEG-LS": compressed(image_object(CLIP, "MONOCHROME2"), JPEGLSLossless),
    "JPEG": encapsulated(image_object(CLIP, "MONOCHROME2"),
                         [saved(pillow(frame), "JPEG", quality=98) for frame in CLIP], JPEGBaseline8Bit),
    "JPEG 2000": encapsulated(image_object(CLIP, "MONOCHROME2"), [jpeg2000(frame) for frame in CLIP], JPEG2000Lossless),
}


@pytest.mark.parametrize("name", CLIPS)
def test_each_frame_of_a_clip_is_found(name: str) -> None:
    assert read_header(CLIPS[name], LIMITS).frame_count == 3
    for number, expected in enumerate(CLIP, start=1):
        image = opened(CLIPS[name], frame_number=number)
        assert (image.frame_number, image.frame_count) == (number, 3)
        assert difference(image.pixels[..., 0], expected) < 2


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_frame_that_is_not_there_is_refused_with_the_count(number: int) -> None:
    with pytest.raises(InvalidParameter, match=f"3 frames, numbered from 1; frame {number} was asked for") as caught:
        opened(CLIPS["RLE"], frame_number=number)
    assert caught.value.parameter == "frame"


def test_only_the_frame_that_was_asked_for_is_decoded() -> None:
    frames = [saved(pillow(GREY), "JPEG", quality=98), b"\xff\xd8 no picture at all, but a whole item of even length "]
    payload = encapsulated(image_object(CLIP[:2], "MONOCHROME2"), frames, JPEGBaseline8Bit)
    assert difference(opened(payload).pixels, GREY_RGB) < 2
    with pytest.raises(CorruptMedia):
        opened(payload, frame_number=2)


def without_preamble(payload: bytes, *, keep_meta: bool) -> bytes:
    """As old archives write it."""
    return payload[132:] if keep_meta else payload[payload.index(b"\x08\x00\x16\x00") :]


@pytest.mark.parametrize("payload", [
    without_preamble(COLOUR["explicit"][0], keep_meta=True),
    without_preamble(COLOUR["explicit"][0], keep_meta=False),
    without_preamble(COLOUR["implicit"][0], keep_meta=False),
    without_preamble(COLOUR["RLE"][0], keep_meta=True),
], ids=["explicit, with meta", "explicit", "implicit", "RLE"])
def test_a_file_without_preamble_is_read(payload: bytes) -> None:
    assert difference(opened(payload).pixels, SCENE) == 0


def test_the_exam_is_read_from_three_attributes() -> None:
    dataset = still(GREY, "MONOCHROME2")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.BodyPartExamined, dataset.StudyDescription = "BREAST ", "US Brust links, nüchtern "
    assert read_header(file_of(dataset), LIMITS).dicom == DicomDescription("US", "BREAST", "US Brust links, nüchtern")
    assert read_header(file_of(still(GREY, "MONOCHROME2")), LIMITS).dicom == DicomDescription("US", "", "")


def region(**elements: object) -> Dataset:
    """A calibrated region of the whole picture, with `elements` changed; None removes one."""
    item = Dataset()
    values = {"RegionSpatialFormat": 1, "RegionDataType": 1, "RegionLocationMinX0": 4, "RegionLocationMinY0": 6,
              "RegionLocationMaxX1": 70, "RegionLocationMaxY1": 50, "PhysicalUnitsXDirection": 3,
              "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": 0.05, "PhysicalDeltaY": 0.025, **elements}
    for keyword, value in values.items():
        if value is not None:
            setattr(item, keyword, value)
    return item


def regions_of(*items: Dataset) -> tuple[UltrasoundRegion, ...]:
    """What is made of these regions of an 80x60 picture."""
    dataset = still(GREY, "MONOCHROME2")
    dataset.SequenceOfUltrasoundRegions = list(items)
    return opened(file_of(dataset)).regions


def test_ultrasound_regions_are_kept_as_geometry_in_millimetres() -> None:
    assert regions_of(region(), region(RegionSpatialFormat=3, PhysicalUnitsXDirection=4)) == (
        UltrasoundRegion(4, 6, 70, 50, 1, 1, 0.5, 0.25), UltrasoundRegion(4, 6, 70, 50, 3, 1, None, 0.25))


def test_a_region_that_ends_outside_of_the_picture_is_clipped() -> None:
    clipped, = regions_of(region(RegionLocationMinX0=0, RegionLocationMaxX1=80, RegionLocationMaxY1=4_000_000_000))
    assert (clipped.x0, clipped.x1, clipped.y1) == (0, 79, 59)


def test_malformed_regions_are_left_out_and_the_others_stay() -> None:
    assert len(regions_of(region(RegionLocationMinX0=None), region(RegionSpatialFormat=None), Dataset(),
                          region(RegionLocationMinX0=71), region(RegionLocationMinX0=90, RegionLocationMaxX1=99),
                          region())) == 1
    assert regions_of(region(PhysicalDeltaX=0.0, PhysicalDeltaY=float("nan")))[0].spacing_x_mm is None
    assert regions_of(region(PhysicalDeltaY=float("inf")))[0].spacing_y_mm is None
    assert opened(file_of(still(GREY, "MONOCHROME2"))).regions == ()


def test_an_object_without_a_picture_is_refused_by_its_kind() -> None:
    plan = Dataset()
    plan.SOPClassUID, plan.SOPInstanceUID, plan.Modality = RTPlanStorage, "1.2.3", "RTPLAN"
    with pytest.raises(UnsupportedMedia, match=r"holds no picture \(RT Plan Storage\)"):
        read_header(file_of(plan), LIMITS)
    plan.SOPClassUID = "1.2.3.4.5.999"
    with pytest.raises(UnsupportedMedia, match=r"holds no picture \(an unknown kind\)"):
        read_header(file_of(plan), LIMITS)


def test_an_image_object_that_lost_its_pixels_is_refused() -> None:
    dataset = still(GREY, "MONOCHROME2")
    del dataset.PixelData
    with pytest.raises(CorruptMedia, match="no pixel data"):
        read_header(file_of(dataset), LIMITS)
    dataset.FloatPixelData = np.zeros(4800, np.float32).tobytes()
    with pytest.raises(UnsupportedMedia, match="floating-point"):
        read_header(file_of(dataset), LIMITS)


@pytest.mark.parametrize(("syntax", "name"), [
    (HTJ2KLossless, "High-Throughput JPEG 2000"), ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    ("1.2.3.4.5", "of an unknown UID"),
])
def test_a_transfer_syntax_that_is_not_read_is_named(syntax: str, name: str) -> None:
    payload = encapsulated(still(GREY, "MONOCHROME2"), [b"\0" * 100], JPEGBaseline8Bit)
    with pytest.raises(UnsupportedMedia, match=name):
        read_header(with_syntax(payload, syntax), LIMITS)


def with_syntax(payload: bytes, syntax: str) -> bytes:
    """`payload` with another transfer syntax in its file meta information."""
    at = payload.index(b"\x02\x00\x10\x00UI") + 6
    old = int.from_bytes(payload[at : at + 2], "little")
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    length_at = payload.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    group_length = int.from_bytes(payload[length_at : length_at + 4], "little") + len(value) - old
    return (payload[:length_at] + group_length.to_bytes(4, "little") + payload[length_at + 4 : at]
            + len(value).to_bytes(2, "little") + value + payload[at + 2 + old :])


@pytest.mark.parametrize(("elements", "error"), [
    ({"Rows": 0}, CorruptMedia),
    ({"PhotometricInterpretation": "CIELAB"}, UnsupportedMedia),
    ({"PhotometricInterpretation": "RGB"}, CorruptMedia),
    ({"SamplesPerPixel": 3}, CorruptMedia),
    ({"BitsAllocated": 32}, UnsupportedMedia),
    ({"BitsStored": 12}, CorruptMedia),
    ({"NumberOfFrames": -3}, CorruptMedia),
    ({"Rows": 61}, CorruptMedia),
    ({"NumberOfFrames": 2}, CorruptMedia),
])
def test_a_header_that_does_not_fit_is_refused(elements: dict[str, object], error: type[MediaError]) -> None:
    with pytest.raises(error):
        opened(file_of(image_object(GREY[np.newaxis], "MONOCHROME2", **elements)))


def test_a_jpeg_of_other_dimensions_than_the_header_is_refused_before_decoding() -> None:
    payload = encapsulated(still(GREY, "MONOCHROME2"), [saved(pillow(scene(640, 480)[..., 0]), "JPEG")], JPEGBaseline8Bit)
    with pytest.raises(CorruptMedia, match="compressed frame is 480x640 of 1 samples, its header says 80x60 of 1"):
        opened(payload)


def test_real_objects_are_read() -> None:
    still_image = opened((SAMPLES / "ultrasound.dcm").read_bytes())
    assert still_image.pixels.shape == (768, 1024, 3)
    assert still_image.regions[0].is_2d
    assert still_image.regions[0].spacing_x_mm == pytest.approx(0.2548, abs=1e-4)
    clip = (SAMPLES / "ultrasound_clip.dcm").read_bytes()
    first, last = opened(clip), opened(clip, frame_number=30)
    assert first.frame_count == 30
    assert 0.2 < difference(first.pixels, last.pixels) < 20  # the heart moves
