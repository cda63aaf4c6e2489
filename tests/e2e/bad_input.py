"""Inputs that are wrong, and the code that each must get, the same over REST and gRPC."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import cv2
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLossless, RTPlanStorage, UltrasoundImageStorage, generate_uid

from tests.gateway_process import SAMPLES

LUNG: Mapping[str, str | int] = {"exam": "lung_ultrasound"}


@dataclass(frozen=True, slots=True)
class BadInput:
    """`word` must stand in the message: it names what is wrong."""

    name: str
    content: bytes
    code: str
    word: str
    domain: str = "pathology"
    parameters: Mapping[str, str | int] = field(default_factory=lambda: LUNG)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def dicom(transfer_syntax: UID = ExplicitVRLittleEndian, *, pixels: bool, kind: UID = UltrasoundImageStorage) -> bytes:
    """A DICOM object, with or without pixel data, its syntax as claimed."""
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "US"
    dataset.PatientName = "DOE^SECRET"
    if pixels:
        dataset.Rows = dataset.Columns = 64
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 7, 0, 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        encoded = transfer_syntax == HTJ2KLossless
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 60]) if encoded else bytes(64 * 64)
        dataset["PixelData"].VR = "OB"
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def tiny_png() -> bytes:
    """One pixel."""
    return cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()


def bad_inputs() -> list[BadInput]:
    """All of them."""
    lung = (SAMPLES / "lung_scan.png").read_bytes()
    field_photo = (SAMPLES / "field.jpg").read_bytes()
    return [
        BadInput("empty body", b"", "EMPTY_BODY", "empty"),
        BadInput("truncated JPEG", field_photo[: len(field_photo) // 2], "CORRUPT_MEDIA", "JPEG", "crop_weed", {}),
        BadInput("text renamed .jpg", b"Dear doctor, please find attached\n" * 20, "UNSUPPORTED_MEDIA", "JPEG, PNG"),
        BadInput("1x1 image", tiny_png(), "UNSUPPORTED_MEDIA", "1x1"),
        BadInput("30000x30000 PNG bomb", png_header(30000, 30000), "MEDIA_TOO_LARGE", "30000x30000"),
        BadInput("DICOM scan without pixels", dicom(pixels=False), "CORRUPT_MEDIA", "no pixel data"),
        BadInput("DICOM without a picture", dicom(pixels=False, kind=RTPlanStorage), "UNSUPPORTED_MEDIA", "no picture"),
        BadInput("unsupported transfer syntax", dicom(HTJ2KLossless, pixels=True), "UNSUPPORTED_MEDIA", "High-Throughput"),
        BadInput("unknown domain", lung, "UNKNOWN_DOMAIN", "crop_weed, house_numbers, pathology", "astrology"),
        BadInput("unknown exam", lung, "UNKNOWN_EXAM", "breast_ultrasound", parameters={"exam": "knee"}),
        BadInput("no exam", lung, "UNKNOWN_EXAM", "lung_ultrasound", parameters={}),
        BadInput("unknown parameter", lung, "INVALID_ARGUMENT", "exam", parameters={**LUNG, "colour": "blue"}),
        BadInput("frame that isn't there", lung, "INVALID_ARGUMENT", "frame", parameters={**LUNG, "frame": 2}),
    ]
