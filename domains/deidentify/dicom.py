"""A DICOM object: PS3.15 annex E, Basic Application Level Confidentiality Profile with the Clean Pixel Data Option."""

from io import BytesIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from domains.deidentify.header import NewUid, clean_header
from domains.deidentify.outcome import Deidentified, HeldBack
from domains.deidentify.pixels import clean_pixels, kept_pixels
from domains.deidentify.quiet import silence
from domains.deidentify.text import TextReader, clip_shows_text
from domains.deidentify.uids import is_registered
from domains.media import Limits
from domains.media.dicom.dataset import read_whole
from domains.media.dicom.frame import OpenedObject
from domains.media.dicom.header import check_holds_picture, describe_pixels, frame_count, read_header
from domains.media.dicom.regions import read_regions

HEADER_RULES = ("dicom-basic-profile", "private-removed", "uids-replaced")
BLANKED, SEARCHED = "outside-regions-blanked", "no-text-found"

METHOD = "PS3.15 Basic Profile, Clean Pixel Data"
_METHOD_CODES = (("113100", "Basic Application Confidentiality Profile"), ("113101", "Clean Pixel Data Option"))
"""PS3.16 CID 7050."""

_NOT_A_PICTURE = ("EncapsulatedDocument", "ContentSequence", "WaveformSequence", "FloatPixelData", "DoubleFloatPixelData")


def deidentified_object(payload: bytes, new_uid: NewUid, reader: TextReader, limits: Limits) -> Deidentified:
    """The object without what tells whose it is. Raises HeldBack where that can't be had, and as reading does."""
    silence()
    header = read_header(payload, limits)
    dataset = read_whole(payload, limits)
    _check_kind(dataset)
    description = describe_pixels(dataset)
    keep = kept_pixels(read_regions(dataset, header.width, header.height), description)
    declared = str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES"
    if declared and keep is None:
        raise HeldBack("the object says that text is burned in, and no ultrasound region says where the scan lies")
    blanked = clean_pixels(dataset, description, keep)
    clean_header(dataset, new_uid)
    _mark(dataset, blanked=blanked)
    written = _written(dataset)
    opened = OpenedObject(written, read_header(written, limits), limits)
    count = frame_count(opened.dataset)
    if clip_shows_text((opened.image(number).pixels for number in range(1, count + 1)), count, reader):
        raise HeldBack(
            "text was found in the picture, and no ultrasound region says where the scan lies" if keep is None
            else "text was found inside of the ultrasound regions"
        )
    return Deidentified(written, "dicom", (*HEADER_RULES, *((BLANKED,) if blanked else ()), SEARCHED))


def _check_kind(dataset: FileDataset) -> None:
    check_holds_picture(dataset, "PixelData" in dataset)
    if any(keyword in dataset for keyword in _NOT_A_PICTURE):
        raise HeldBack("the object holds more than a picture: a document, a report or a curve")
    if not is_registered(str(dataset.SOPClassUID)):
        raise HeldBack("the object is of no kind that the standard knows")
    if not dataset.get("SOPInstanceUID"):
        raise HeldBack("the object has no UID of its own")


def _mark(dataset: FileDataset, *, blanked: bool) -> None:
    """Says what was done, as PS3.15 section E.1.1 asks."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in _METHOD_CODES]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.BurnedInAnnotation = "NO"
    if blanked and "ImageType" in dataset:
        kind = dataset.ImageType
        dataset.ImageType = ["DERIVED", *([kind] if isinstance(kind, str) else list(kind))[1:]]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _written(dataset: FileDataset) -> bytes:
    """A Part 10 file with meta information of its own: nothing is left of the old one but the transfer syntax."""
    syntax = dataset.file_meta.TransferSyntaxUID
    dataset.preamble = b"\0" * 128
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = BytesIO()
    dataset.save_as(
        file, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian, overwrite=True,
    )
    return file.getvalue()
