"""A DICOM object that leaves tells nothing of whom it is about: not in its header, not in its pixels."""

import io

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    MPEG4HP41,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from domains.media import Limits, decode, read_header
from tests.domains.deidentify.readers import BANNER, Blind, OutOfOrder, Sees, cleaned, reason_held, with_banner
from tests.domains.media.dicom_objects import compressed, deflated_object, encapsulated, file_of, image_object, jpeg2000
from tests.domains.media.pictures import jpeg, opened

NAME, BIRTH = "Maier-Größe^Rosa", "19500131"
WORDS = ("Maier", "Größe", "Rosa", "19500131", "PAT-4711", "Sankt", "KIS-0815", "Hausarzt", "Waldweg", "1.2.3.4.5.6.7")


def patient(dataset: Dataset) -> Dataset:
    """Writes a patient into every corner of `dataset`."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientID = NAME, BIRTH, "PAT-4711"
    dataset.PatientAddress, dataset.InstitutionName, dataset.AccessionNumber = "Waldweg 7", "Klinikum Sankt Rosa", "KIS-0815"
    dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.3.4.5.6.7.1"
    dataset.SeriesInstanceUID = "1.2.3.4.5.6.7.2"
    dataset.ImageComments = dataset.StudyDescription = f"{NAME} {BIRTH}"
    dataset.StudyDate = dataset.ContentDate = "20260504"
    dataset.BodyPartExamined = "BREAST"
    inner = Dataset()
    inner.PatientName, inner.ReferringPhysicianName, inner.CodeMeaning = NAME, "Hausarzt^Jo", "echo of Maier-Größe"
    inner.ReferencedSOPInstanceUID = "1.2.3.4.5.6.7.3"
    inner.PixelData = b"Maier" * 2
    inner["PixelData"].VR = "OB"
    dataset.PerformedProtocolCodeSequence = [inner]
    dataset.EvaluatorName, dataset.DateOfGainCalibration = NAME, BIRTH  # in no line of the table
    dataset.ICCProfile = b"profile of Maier"
    dataset.private_block(0x0009, "MAKER 1.0", create=True).add_new(1, "LO", NAME)
    dataset.ProcessingFunction = "preset ROSA"
    dataset.TransducerType = "MAIER"
    return dataset


def region(x0: int, y0: int, x1: int, y1: int, spatial_format: int = 1) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    return item


def below_banner(picture: NDArray[np.generic]) -> list[Dataset]:
    """The scan of `with_banner` as the one ultrasound region."""
    return [region(0, BANNER, picture.shape[1] - 1, picture.shape[0] - 1)]


def scan(syntax: UID = ExplicitVRLittleEndian, *, frames: int = 1) -> bytes:
    """A named patient's scan with a banner above the region."""
    picture = with_banner()
    clip = np.stack([picture] * frames)
    dataset = patient(image_object(clip, "RGB", SequenceOfUltrasoundRegions=below_banner(picture), BurnedInAnnotation="YES"))
    return encoded(dataset, clip, syntax)


def encoded(dataset: Dataset, clip: NDArray[np.uint8], syntax: UID) -> bytes:
    if syntax == JPEGBaseline8Bit:
        dataset.PhotometricInterpretation = "YBR_FULL"
        return encapsulated(dataset, [jpeg(frame, comment=NAME.encode()) for frame in clip], syntax)
    if syntax == JPEG2000Lossless:
        dataset.PhotometricInterpretation = "YBR_RCT"
        return encapsulated(dataset, [jpeg2000(frame) for frame in clip], syntax)
    if syntax in (RLELossless, JPEGLSLossless):
        return compressed(dataset, syntax)
    return file_of(dataset, syntax)


def read(payload: bytes) -> pydicom.FileDataset:
    return pydicom.dcmread(io.BytesIO(payload))


SYNTAXES = [
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGBaseline8Bit,
]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_nothing_of_the_patient_is_left_in_any_encoding_and_the_banner_is_black_in_every_frame(syntax: UID, frames: int) -> None:
    payload = scan(syntax, frames=frames)
    before = opened(payload).pixels
    reader = Blind()
    left = cleaned(payload, "dicom", reader)
    for word in WORDS:
        for encoding in ("latin-1", "utf-8", "utf-16-le", "utf-16-be"):
            for form in (word, word.upper(), word.casefold()):
                assert form.encode(encoding) not in left.payload, word
    for number in range(1, frames + 1):
        pixels = opened(left.payload, frame_number=number).pixels
        assert not pixels[:BANNER].any(), f"frame {number}"
        assert (pixels[BANNER:] == before[BANNER:]).all(), f"frame {number}"
    assert left.rules == ("dicom-basic-profile", "private-removed", "uids-replaced", "outside-regions-blanked", "no-text-found")
    assert reader.shown


def test_what_says_that_it_was_done_and_what_the_models_need_is_there() -> None:
    left = read(cleaned(scan(), "dicom").payload)
    assert (left.PatientIdentityRemoved, left.BurnedInAnnotation, left.LongitudinalTemporalInformationModified) == ("YES", "NO", "REMOVED")
    assert [code.CodeValue for code in left.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert left.DeidentificationMethod
    assert (left.Modality, left.BodyPartExamined) == ("US", "BREAST")
    assert left.SequenceOfUltrasoundRegions[0].RegionLocationMinY0 == BANNER
    assert (left.PatientName, left.PatientBirthDate, left.StudyDate, left.ContentDate) == ("", "", "", "")
    assert left.file_meta.MediaStorageSOPInstanceUID == left.SOPInstanceUID
    assert not left.group_dataset(0x0009)
    header = read_header(cleaned(scan(frames=3), "dicom").payload, Limits())
    assert (header.width, header.height, header.frame_count) == (480, 240, 3)


def test_uids_stay_joined_within_a_tenant_and_only_there() -> None:
    one, again = read(cleaned(scan(), "dicom").payload), read(cleaned(scan(frames=2), "dicom").payload)
    other = read(cleaned(scan(), "dicom", key=b"quite another tenant's key").payload)
    assert one.StudyInstanceUID == one.FrameOfReferenceUID == again.StudyInstanceUID != other.StudyInstanceUID
    assert one.StudyInstanceUID != one.SeriesInstanceUID
    uid = one.PerformedProtocolCodeSequence[0].ReferencedSOPInstanceUID
    assert uid.startswith("2.25.")
    assert UID(uid).is_valid
    assert one.SOPClassUID == read(scan()).SOPClassUID


def test_meta_information_and_preamble_are_written_anew() -> None:
    dataset = image_object(np.full((1, 40, 60), 90, np.uint8), "MONOCHROME2")
    payload = bytearray(file_of(dataset))
    payload[:6] = b"MAIER^"
    whole = read(bytes(payload))
    whole.file_meta.SourceApplicationEntityTitle = "MAIERS_PRAXIS"
    whole.file_meta.PrivateInformationCreatorUID, whole.file_meta.PrivateInformation = UID("1.2.3"), b"MAIER "
    file = io.BytesIO()
    whole.save_as(file)
    assert file.getvalue().count(b"MAIER") == 3
    assert b"MAIER" not in cleaned(file.getvalue() + b"MAIER", "dicom").payload


def test_an_overlay_goes_also_where_it_hides_in_the_bits_that_samples_leave_free() -> None:
    frame = np.full((1, 40, 60), 0x0123, np.uint16)
    dataset = image_object(frame | 0x8000, "MONOCHROME2", BitsStored=12, HighBit=11)
    dataset.add_new(0x60000010, "US", 40)
    dataset.add_new(0x60003000, "OW", b"\xff" * 300)
    left = read(cleaned(file_of(dataset), "dicom").payload)
    assert not left.group_dataset(0x6000)
    assert (left.pixel_array == 0x0123).all()
    assert left.PixelData == frame.tobytes()


def test_signed_pixels_keep_their_values() -> None:
    frame = np.array([[[-2000, -1, 0, 1, 2000, 7] * 10] * 40], np.int16)
    dataset = image_object(frame, "MONOCHROME2", BitsStored=12, HighBit=11)
    left = read(cleaned(file_of(dataset), "dicom").payload)
    assert (left.pixel_array == frame[0]).all()
    assert left.PixelData == frame.tobytes()


def test_bytes_behind_the_last_frame_go() -> None:
    dataset = image_object(np.full((1, 40, 60), 90, np.uint8), "MONOCHROME2")
    dataset.PixelData += b"MAIER^ROSA"
    assert b"MAIER" not in cleaned(file_of(dataset), "dicom").payload


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "RGB in planes"])
def test_what_lies_outside_of_the_regions_is_blank_in_every_colour_space(photometric: str) -> None:
    grey = photometric.startswith("MONO")
    frame = np.full((1, 40, 60) if grey else (1, 40, 60, 3), 200, np.uint8)
    if photometric == "RGB in planes":
        dataset = image_object(np.moveaxis(frame, 3, 1).reshape(1, 40, 60, 3), "RGB", PlanarConfiguration=1)
    else:
        dataset = image_object(frame, photometric)
    if photometric == "YBR_FULL_422":
        dataset.PixelData = b"\xc8" * (40 * 60 * 2)
    dataset.SequenceOfUltrasoundRegions = [region(20, 10, 39, 29)]
    pixels = opened(cleaned(file_of(dataset), "dicom").payload).pixels
    inside = pixels[10:30, 20:40]
    assert inside.min() > 30 or photometric == "MONOCHROME1"
    pixels[10:30, 20:40] = 0
    assert pixels.max() <= 1


def test_several_regions_stay_and_what_a_machine_draws_does_not() -> None:
    dataset = image_object(np.full((1, 40, 60), 200, np.uint8), "MONOCHROME2")
    dataset.SequenceOfUltrasoundRegions = [region(0, 10, 19, 29), region(40, 10, 59, 29, 3), region(0, 0, 59, 5, 5)]
    pixels = opened(cleaned(file_of(dataset), "dicom").payload).pixels[:, :, 0]
    assert pixels[10:30, :20].all()
    assert pixels[10:30, 40:].all()
    assert not pixels[:10].any()
    assert not pixels[:, 20:40].any()


def test_compressed_frames_without_regions_stay_as_coded_and_lose_their_comments() -> None:
    clip = np.stack([with_banner("")] * 2)
    payload = encoded(image_object(clip, "RGB"), clip, JPEGBaseline8Bit)
    assert b"Maier" in payload
    left = cleaned(payload, "dicom")
    assert b"Maier" not in left.payload
    assert read(left.payload).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert (opened(left.payload, frame_number=2).pixels == opened(payload, frame_number=2).pixels).all()
    assert "outside-regions-blanked" not in left.rules


def test_text_and_no_region_is_held_back() -> None:
    picture = with_banner()
    payload = file_of(image_object(picture[np.newaxis], "RGB"))
    assert reason_held(payload, "dicom", Sees()) == "text was found in the picture, and no ultrasound region says where the scan lies"


def test_a_picture_that_says_itself_that_text_is_burned_in_is_held_even_where_none_is_found() -> None:
    payload = file_of(image_object(with_banner()[np.newaxis], "RGB", BurnedInAnnotation="YES"))
    assert reason_held(payload, "dicom").startswith("the object says that text is burned in")


def test_text_inside_of_the_regions_is_held_back() -> None:
    assert reason_held(scan(), "dicom", Sees()) == "text was found inside of the ultrasound regions"


def test_what_cannot_be_searched_is_held_back() -> None:
    assert reason_held(scan(), "dicom", OutOfOrder()) == "no search for text could be made, so the picture may show some"


def test_reports_documents_and_videos_are_held_back() -> None:
    grey = np.full((1, 40, 60), 90, np.uint8)
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.3", "SR"
    report.ContentSequence = [Dataset()]
    assert "holds no picture" in reason_held(file_of(report), "dicom")
    with_document = image_object(grey, "MONOCHROME2", EncapsulatedDocument=b"%PDF-1.4")
    assert reason_held(file_of(with_document), "dicom").startswith("the object holds more than a picture")
    own_kind = image_object(grey, "MONOCHROME2", SOPClassUID="1.2.3.4.5")
    assert reason_held(file_of(own_kind), "dicom") == "the object is of no kind that the standard knows"
    video = image_object(np.zeros((2, 40, 60, 3), np.uint8), "YBR_PARTIAL_420")
    assert reason_held(encapsulated(video, [b"\0\0\0\1" * 9], MPEG4HP41), "dicom").startswith("the object holds a video stream")


def test_a_broken_object_is_held_back_and_its_reason_quotes_nothing() -> None:
    whole = scan()
    for length in range(200, len(whole), len(whole) // 40):
        reason = reason_held(whole[:length], "dicom")
        assert not any(word in reason for word in WORDS)


def test_a_deflated_object_is_cleaned_too() -> None:
    assert reason_held(deflated_object(1000), "dicom").startswith("the DICOM object should hold a picture")


def test_an_object_taken_for_a_photo_is_held_back() -> None:
    assert reason_held(scan(), "jpeg") == "the file is of another format than it was taken for"


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        cleaned(scan(), "dicom", key=b"short")


def test_values_that_cannot_be_read_go() -> None:
    dataset = image_object(np.full((1, 40, 60), 90, np.uint8), "MONOCHROME2", HeartRate="77")
    payload = file_of(dataset).replace(b"IS\x02\x0077", b"IS\x02\x00Ma")
    assert b"IS\x02\x00Ma" in payload
    left = cleaned(payload, "dicom").payload
    assert "HeartRate" not in read(left)
    assert decode(left, read_header(left, Limits()), Limits()).pixels.shape == (40, 60, 3)
