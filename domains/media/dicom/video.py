"""Video inside DICOM: MPEG-2, H.264 and HEVC as one stream in the fragments of the pixel data (PS3.5 sections 8.2.5 to 8.2.12)."""

import struct
from itertools import islice

from pydicom.dataset import FileDataset
from pydicom.uid import HEVCM10P51, HEVCMP51, MPEG2MPHL, MPEG2MPHLF, MPEG2MPML, MPEG2MPMLF

from domains.core import CorruptMedia, MediaHeader, Pixels
from domains.formats import clip_format
from domains.media.dicom.codestream import check_fragments
from domains.media.limits import Limits
from domains.media.video.clip import Clip, open_video

_MPEG2 = frozenset({MPEG2MPHL, MPEG2MPHLF, MPEG2MPML, MPEG2MPMLF})
_HEVC = frozenset({HEVCM10P51, HEVCMP51})


def open_stream(dataset: FileDataset, limits: Limits) -> Clip:
    """The video in the pixel data of `dataset`: in MPEG-TS or MP4, a program stream, or bare. Raises as `open_clip`."""
    stream = _joined_fragments(dataset.PixelData)
    syntax = dataset.file_meta.TransferSyntaxUID
    bare = "mpeg" if syntax in _MPEG2 else "hevc" if syntax in _HEVC else "h264"
    return open_video(clip_format(stream) or bare, stream, limits)


def video_frame(dataset: FileDataset, header: MediaHeader, limits: Limits, number: int) -> Pixels:
    """Frame `number` (from 1), uint8 RGB (height, width, 3); all before it are decoded too.

    Raises CorruptMedia where it isn't there or has another size than `header` states.
    """
    frame = next(islice(open_stream(dataset, limits).frames(), number - 1, None), None)
    if frame is None:
        raise CorruptMedia(f"the DICOM object is broken or cut short: frame {number} is not in its video")
    if (frame.width, frame.height) != (header.width, header.height):
        raise CorruptMedia(f"the DICOM object is broken: its video is {frame.width}x{frame.height}, "
                           f"its header says {header.width}x{header.height}")
    return frame.pixels()


def _joined_fragments(pixel_data: bytes) -> bytes:
    """All items behind the first, which is the offset table: PS3.5 section A.4."""
    check_fragments(pixel_data)
    fragments, at = [], 0
    while at + 8 <= len(pixel_data):
        element, length = struct.unpack_from("<2xHI", pixel_data, at)
        if element == _SEQUENCE_END:
            break
        fragments.append(pixel_data[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(fragments[1:])


_SEQUENCE_END = 0xE0DD
