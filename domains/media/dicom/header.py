"""What a DICOM object claims: kind, size, frames. All limits are checked on this."""

from dataclasses import dataclass

from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    MPEGTransferSyntaxes,
    RLELossless,
)

from domains.core import CorruptMedia, DicomDescription, MediaHeader, UnsupportedMedia
from domains.media.dicom.dataset import CUT_SHORT, read_elements, text, transfer_syntax, uid_name
from domains.media.limits import Limits

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
VIDEO_COLOUR = ("YBR_PARTIAL_420", "YBR_PARTIAL_422")
"""Of video transfer syntaxes alone: PS3.3 section C.7.6.3.1.2."""

VIDEO = "video"
"""What `decoder_plugin` calls FFmpeg, which reads all frames of an object as one stream."""

_COLOUR_SPACES = ("the colour space of this DICOM object isn't read here: MONOCHROME1 and 2, RGB, YBR_FULL, YBR_FULL_422, "
                  "YBR_RCT, YBR_ICT and PALETTE COLOR are")

_UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_PLUGINS: dict[UID, str] = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    RLELossless: "pydicom",
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    JPEG2000: "pillow",
    JPEG2000Lossless: "pillow",
    **dict.fromkeys(map(UID, MPEGTransferSyntaxes), VIDEO),
}


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel Module (PS3.3 section C.7.6.3) as far as decoding needs it."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str

    @property
    def frame_bytes(self) -> int:
        """One frame as the decoder gives it."""
        return self.rows * self.columns * self.samples * max(self.bits_allocated // 8, 1)


def read_header(data: bytes, limits: Limits) -> MediaHeader:
    """Size, frames and description of a DICOM object.

    Raises UnsupportedMedia for objects without a picture and for pixel data that no installed decoder reads,
    MediaTooLarge beyond `limits`, CorruptMedia for a header that is broken or cut short.
    """
    dataset, pixel_data_follow = read_elements(data, limits)
    check_holds_picture(dataset, pixel_data_follow)
    description = describe_pixels(dataset)
    decoder_plugin(transfer_syntax(dataset), description)
    frames = frame_count(dataset)
    limits.check_frames(frames)
    limits.check_picture(description.columns, description.rows, description.frame_bytes)
    exam = DicomDescription(text(dataset, "Modality"), text(dataset, "BodyPartExamined"),
                            text(dataset, "StudyDescription"))
    return MediaHeader("dicom", description.columns, description.rows, frames, exam)


def check_holds_picture(dataset: FileDataset, pixel_data_follow: bool) -> None:
    """Raises UnsupportedMedia for a plan, a report and the like, CorruptMedia for an image without its pixel data."""
    if "SOPClassUID" not in dataset:
        raise CorruptMedia(CUT_SHORT)
    kind = uid_name(dataset.SOPClassUID, "an unknown kind")
    is_image = "Rows" in dataset or "Image" in kind
    if pixel_data_follow and is_image:
        return
    if is_image:
        raise CorruptMedia("the DICOM object should hold a picture but has no pixel data: is it cut short?")
    raise UnsupportedMedia(f"this DICOM object holds no picture ({kind})")


def decoder_plugin(syntax: UID, description: PixelDescription) -> str:
    """Which of pydicom's decoders reads frames in `syntax`; "" where they aren't compressed, VIDEO for MPEG-2 and its heirs.

    Raises UnsupportedMedia, naming the syntax, where none is installed. pydicom would try all: gdcm first, which ends the
    process on a broken JPEG 2000 stream and takes twice as long as Pillow for baseline JPEG.
    """
    plugin = _PLUGINS.get(syntax)
    if plugin == VIDEO:
        return VIDEO
    if description.photometric in VIDEO_COLOUR:
        raise UnsupportedMedia(_COLOUR_SPACES)
    if syntax in _UNCOMPRESSED:
        return ""
    if plugin == "pillow" and description.bits_stored > 8 and (description.samples > 1 or syntax == JPEGExtended12Bit):
        plugin = None  # Pillow would give the upper 8 bits as if they were all, or nothing
    if plugin == "gdcm" and description.samples > 1 and (description.bits_allocated, description.photometric) != (8, "RGB"):
        plugin = None  # gdcm ends the process on some colour streams, and OpenCV reads only this kind instead
    if plugin is None or plugin not in get_decoder(syntax).available_plugins:
        raise UnsupportedMedia(f"pixel data in the DICOM transfer syntax {uid_name(syntax, 'of an unknown UID')} "
                               "aren't read here")
    return plugin


def describe_pixels(dataset: Dataset) -> PixelDescription:
    """The checked Image Pixel Module. Raises CorruptMedia or UnsupportedMedia."""
    description = PixelDescription(
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        samples=int(dataset.get("SamplesPerPixel", 1)),
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.get("BitsStored", dataset.BitsAllocated)),
        signed=int(dataset.get("PixelRepresentation", 0)) == 1,
        photometric=str(dataset.PhotometricInterpretation).strip(" \0"),
    )
    if min(description.rows, description.columns) < 1:
        raise CorruptMedia("the DICOM object is broken: it states no picture size")
    if description.photometric not in (*GREY, PALETTE, *COLOUR, *VIDEO_COLOUR):
        raise UnsupportedMedia(_COLOUR_SPACES)
    if description.samples != (1 if description.photometric in (*GREY, PALETTE) else 3):
        raise CorruptMedia("the DICOM object is broken: its samples per pixel don't fit its colour space")
    if description.bits_allocated not in (1, 8, 16):
        raise UnsupportedMedia(f"DICOM pixel data of {description.bits_allocated} bits a sample aren't read here")
    if not 1 <= description.bits_stored <= description.bits_allocated:
        raise CorruptMedia("the DICOM object is broken: its bits stored don't fit its bits allocated")
    return description


def frame_count(dataset: Dataset) -> int:
    """NumberOfFrames, 1 where it is absent or empty. Raises CorruptMedia where it isn't positive."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames < 1:
        raise CorruptMedia("the DICOM object is broken: it states no frames")
    return frames
