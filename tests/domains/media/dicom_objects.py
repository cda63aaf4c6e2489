"""DICOM objects for the tests of domains/media, made on the spot."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from tests.domains.media.pictures import pillow, saved


def image_object(frames: NDArray[np.generic], photometric: str, **elements: object) -> Dataset:
    """An ultrasound object of `frames`: (frames, rows, columns[, 3]) integers, natively encoded. No file meta yet."""
    count, rows, columns = frames.shape[:3]
    dataset = Dataset()
    dataset.SOPClassUID = UltrasoundImageStorage if count == 1 else UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "US"
    if count > 1:
        dataset.NumberOfFrames = count
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = photometric
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 8 * frames.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(np.issubdtype(frames.dtype, np.signedinteger))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    content = frames.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OB" if frames.itemsize == 1 else "OW"
    return dataset


def file_of(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """`dataset` as a Part 10 file in `syntax`; pixel data must be encoded for it already."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    if syntax == ExplicitVRBigEndian:
        # pydicom turns every number around but leaves pixel data, which it can't know the words of.
        words = np.frombuffer(dataset.PixelData, "<u2") if dataset.BitsAllocated == 16 else None
        if words is not None:
            dataset.PixelData = words.astype(">u2").tobytes()
    dataset.save_as(file, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian,
                    little_endian=syntax != ExplicitVRBigEndian)
    return file.getvalue()


def encapsulated(dataset: Dataset, frames: list[bytes], syntax: UID) -> bytes:
    """A file whose pixel data are the compressed `frames`."""
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    return file_of(dataset, syntax)


def jpeg2000(pixels: NDArray[np.generic]) -> bytes:
    """A lossless JPEG 2000 codestream."""
    return saved(pillow(pixels), "JPEG2000", no_jp2=True, irreversible=False)


def rle(planes: list[bytes]) -> bytes:
    """An RLE frame (PS3.5 annex G) whose segments are given packed."""
    starts = np.cumsum([64, *(len(plane) for plane in planes[:-1])]).tolist()
    header = struct.pack("<16I", len(planes), *starts, *[0] * (15 - len(planes)))
    return header + b"".join(planes)


def deflated_object(size_bytes: int) -> bytes:
    """A deflated file whose data set inflates to more than `size_bytes` of private zeros."""
    meta = Dataset()
    meta.SOPClassUID, meta.SOPInstanceUID = UltrasoundImageStorage, "1.2.3.4"
    head = file_of(meta, ExplicitVRLittleEndian)
    start = head.index(b"\x08\x00\x16\x00")
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    content = [packer.compress(head[start:] + b"\x09\x00\x10\x00LO\x04\x00TEST" + b"\x09\x00\x01\x10OB\0\0"
                               + struct.pack("<I", size_bytes))]
    content += [packer.compress(b"\0" * 2**20) for _ in range(size_bytes // 2**20)]
    syntax = ExplicitVRLittleEndian.encode() + b"\0" * (len(ExplicitVRLittleEndian) % 2)
    other = DeflatedExplicitVRLittleEndian.encode() + b"\0" * (len(DeflatedExplicitVRLittleEndian) % 2)
    at = head.index(b"\x02\x00\x10\x00UI") + 6
    meta_bytes = head[:at] + struct.pack("<H", len(other)) + other + head[at + 2 + len(syntax) : start]
    length_at = meta_bytes.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    longer = struct.unpack_from("<I", meta_bytes, length_at)[0] + len(other) - len(syntax)
    meta_bytes = meta_bytes[:length_at] + struct.pack("<I", longer) + meta_bytes[length_at + 4 :]
    return meta_bytes + b"".join(content) + packer.flush()


def compressed(dataset: Dataset, syntax: UID) -> bytes:
    """A file compressed by one of pydicom's own encoders (RLE, JPEG-LS)."""
    file_of(dataset)
    dataset.compress(syntax, generate_instance_uid=False)
    return file_of(dataset, syntax)
