"""From bytes to a pydicom data set, with bounded memory and in silence."""

import logging
import warnings
import zlib
from io import BytesIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from domains.core import CorruptMedia, MediaTooLarge, UnsupportedMedia
from domains.media.limits import MEBIBYTE, Limits

CUT_SHORT = "the DICOM object is broken or cut short"

MAX_READS = 200_000
"""An enhanced object of 2,000 frames has some 50,000 elements; each takes one read or two."""
MAX_ELEMENT_BYTES = MEBIBYTE
"""The largest elements that are read, beside the pixel data, are tables of 65,536 entries of 16 bits."""
MAX_TEXT = 256
"""Four times what the standard allows the elements that are read here (PS3.5 section 6.2, LO)."""

_PIXEL_DATA_TAG = 0x7FE00010
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_FLOAT_PIXEL_DATA = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00", b"\x7f\xe0\x00\x08", b"\x7f\xe0\x00\x09")
"""(7FE0,0010), (7FE0,0008) and (7FE0,0009) in both byte orders."""


def read_elements(data: bytes, limits: Limits) -> tuple[FileDataset, bool]:
    """All elements before the pixel data, and whether pixel data follow.

    Raises MediaTooLarge for a deflated data set that inflates beyond `limits.max_bytes`, CorruptMedia for one that is
    cut short, UnsupportedMedia for floating-point pixel data. pydicom's own exceptions pass.
    """
    _silence()
    stream = _BoundedStream(inflated(data, limits))
    dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
    _drop_large_elements(dataset)
    next_tag = stream.read(4)
    if next_tag in _FLOAT_PIXEL_DATA:
        raise UnsupportedMedia("floating-point pixel data of a DICOM object aren't read here")
    return dataset, next_tag in _PIXEL_DATA


def read_whole(data: bytes, limits: Limits) -> FileDataset:
    """The data set with its pixel data, still encoded, and a transfer syntax in any case. Raises as `read_elements`."""
    _silence()
    dataset = pydicom.dcmread(_BoundedStream(inflated(data, limits)), force=True)
    _drop_large_elements(dataset)
    dataset.file_meta.TransferSyntaxUID = transfer_syntax(dataset)
    return dataset


def transfer_syntax(dataset: FileDataset) -> UID:
    """The stated transfer syntax, or what was found where a file without meta information states none."""
    stated = dataset.file_meta.get("TransferSyntaxUID")
    if stated:
        return UID(stated)
    implicit, little_endian = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def uid_name(uid: object, unknown: str) -> str:
    """The standard's name of `uid`, or `unknown`: an unregistered UID is content of the file and isn't repeated."""
    name = UID(str(uid)).name
    return unknown if name == str(uid) else name


def inflated(data: bytes, limits: Limits) -> bytes:
    """`data` with a deflated data set (PS3.5 section A.5) written out as plain Explicit VR Little Endian.

    pydicom would inflate without a bound: 64 MiB can become 64 GiB.
    """
    stream = _BoundedStream(data)
    read_preamble(stream, force=True)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(data[stream.tell() :], limits.max_bytes + 1)
    if len(content) > limits.max_bytes:
        raise MediaTooLarge(f"the deflated DICOM object inflates to more than {limits.max_bytes / MEBIBYTE:g} MiB")
    if not inflater.eof:
        raise CorruptMedia(CUT_SHORT)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = DicomBytesIO()
    plain.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(plain, FileMetaDataset(meta), enforce_standard=False)
    return plain.getvalue() + content


class _BoundedStream(BytesIO):
    """Bytes of which pydicom reads so many elements and no more.

    It reads each element's head by itself, in nested items too, and makes an object of hundreds of bytes of it: 64 MiB of
    empty ones would take gigabytes.
    """

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise CorruptMedia("the DICOM object has too many elements")
        return super().read(size)


def _drop_large_elements(dataset: Dataset) -> None:
    """Leaves out what is too large to be what we read; pydicom would turn each number in it into an object."""
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            if tag != _PIXEL_DATA_TAG and element.length > MAX_ELEMENT_BYTES:
                del dataset[tag]
        elif element.VR == "SQ":
            for item in element.value:
                _drop_large_elements(item)


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _silence() -> None:
    """Keeps pydicom from repeating values of the file in warnings and logs: they can identify a patient.

    Set again for each file because others (pytest, for one) put warning filters back. `catch_warnings` would be no
    way: it isn't safe where several threads decode.
    """
    warnings.filterwarnings("ignore", module=r"(pydicom|PIL|domains\.media\.dicom)(\.|$)")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


def text(dataset: Dataset, keyword: str) -> str:
    """The value of a text element without padding, its parts joined by spaces; "" where absent."""
    value = dataset.get(keyword)
    parts = [value] if isinstance(value, str) else list(value or ())
    return " ".join(str(part).strip(" \0") for part in parts)[:MAX_TEXT]
