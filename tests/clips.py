"""Clips and encoded streams for tests, made on the spot from frames: uint8 RGB (height, width, 3)."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

Frame = NDArray[np.uint8]
Region = tuple[int, int, int, int]

_QUIET = {"libx265": {"x265-params": "log-level=none"}}
_TICKS = 90_000
"""Of a second: times of clips with a variable frame rate are kept to this."""

MATRICES = {
    0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0),
}
"""By how many degrees clockwise a player turns the stored picture: a, b, c, d of a display matrix (ISO/IEC 14496-12, 6.2.2)."""


def moving_scan(count: int, width: int = 96, height: int = 80) -> list[Frame]:
    """`count` grey frames of a sector with a bright spot that moves to the right, no two alike. RGB with equal channels."""
    rows, columns = np.mgrid[:height, :width]
    depth = np.hypot(rows, columns - width / 2) / height
    sector = (depth < 1) & (np.abs(columns - width / 2) < rows + width / 8)
    speckle = np.random.default_rng(7).integers(0, 60, (height, width))
    frames = []
    for number in range(count):
        spot = np.hypot(rows - height * 0.6, columns - width * (0.3 + 0.4 * number / max(count - 1, 1))) < height / 8
        grey = np.where(sector, 60 + speckle, 0) + np.where(spot, 100, 0)
        frames.append(np.repeat(grey.astype(np.uint8)[..., np.newaxis], 3, axis=2))
    return frames


def moving_field(count: int, width: int = 96, height: int = 80) -> list[Frame]:
    """`count` frames of brown ground with a green patch that moves down, no two alike."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), (120, 90, 60), np.uint8)
        at = height * (0.2 + 0.6 * number / max(count - 1, 1))
        frame[np.hypot(rows - at, columns - width / 2) < height / 6] = (50, 180, 40)
        frames.append(frame)
    return frames


def encoded(
    frames: Sequence[Frame], file_format: str, codec: str, *, fps: float = 10, times_s: Sequence[float] = (),
    pix_fmt: str = "yuv420p", options: dict[str, str] | None = None, container_options: dict[str, str] | None = None,
) -> bytes:
    """`frames` in libavformat's `file_format`. `times_s`: when each is shown; empty for evenly, `fps` a second."""
    file = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(file, "w", format=file_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={**_QUIET.get(codec, {}), **(options or {})})
        stream = cast("av.VideoStream", stream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times_s:
            stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.time_base = Fraction(1, _TICKS) if times_s else 1 / rate
            picture.pts = round(times_s[number] * _TICKS) if times_s else number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def mp4(frames: Sequence[Frame], fps: float = 10, *, times_s: Sequence[float] = (), codec: str = "libx264") -> bytes:
    """An MP4 file, by default H.264 with B-frames; with `times_s` of a variable frame rate."""
    return encoded(frames, "mp4", codec, fps=fps, times_s=times_s)


def mov(frames: Sequence[Frame], fps: float = 10) -> bytes:
    """A QuickTime file: H.264."""
    return encoded(frames, "mov", "libx264", fps=fps)


def rotated_mp4(frames: Sequence[Frame], degrees: int, fps: float = 10) -> bytes:
    """An MP4 whose header asks players to turn the stored `frames` by `degrees` (0, 90, 180, 270) clockwise."""
    return with_display_matrix(mp4(frames, fps), MATRICES[degrees])


def with_display_matrix(file: bytes, abcd: tuple[int, int, int, int]) -> bytes:
    """`file` (MP4, MOV) with another display matrix in its track header."""
    at = file.index(b"tkhd") + 4
    matrix_at = at + (52 if file[at] else 40)
    a, b, c, d = (value * 65536 for value in abcd)
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return file[:matrix_at] + matrix + file[matrix_at + len(matrix) :]


def webm(frames: Sequence[Frame], fps: float = 10) -> bytes:
    """A WebM file: VP8."""
    return encoded(frames, "webm", "libvpx", fps=fps, options={"deadline": "realtime", "cpu-used": "8"})


def avi(frames: Sequence[Frame], fps: float = 10, *, codec: str = "mpeg4") -> bytes:
    """An AVI file, by default MPEG-4 part 2."""
    return encoded(frames, "avi", codec, fps=fps)


def gif(frames: Sequence[Frame], fps: float = 10) -> bytes:
    """A GIF animation in 8-bit colours."""
    return encoded(frames, "gif", "gif", fps=fps, pix_fmt="rgb8")


def mpeg_program(frames: Sequence[Frame], fps: float = 25) -> bytes:
    """An MPEG program stream: MPEG-2 video with B-frames."""
    return encoded(frames, "vob", "mpeg2video", fps=fps, options={"bf": "2"})


def mpegts(frames: Sequence[Frame], fps: float = 10, *, codec: str = "libx264", live: bool = True) -> bytes:
    """An MPEG transport stream; `live`: no B-frames, a key frame every 10."""
    return encoded(frames, "mpegts", codec, fps=fps, options=_LIVE.get(codec) if live else None)


def fragmented_mp4(frames: Sequence[Frame], fps: float = 10, *, live: bool = True) -> bytes:
    """MP4 in fragments of one frame, as cameras and browsers send it."""
    flags = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    return encoded(frames, "mp4", "libx264", fps=fps, options=_LIVE["libx264"] if live else None, container_options=flags)


def h264(frames: Sequence[Frame], fps: float = 10, *, live: bool = True) -> bytes:
    """An Annex B stream of H.264; `live`: no B-frames, a key frame every 10."""
    return encoded(frames, "h264", "libx264", fps=fps, options=_LIVE["libx264"] if live else None)


def hevc(frames: Sequence[Frame], fps: float = 10, *, live: bool = True) -> bytes:
    """An Annex B stream of HEVC; `live`: no B-frames, a key frame every 10."""
    return encoded(frames, "hevc", "libx265", fps=fps, options=_LIVE["libx265"] if live else None)


def mpeg2(frames: Sequence[Frame], fps: float = 25, *, live: bool = True) -> bytes:
    """An MPEG-2 video elementary stream; `live`: no B-frames."""
    return encoded(frames, "mpeg2video", "mpeg2video", fps=fps, options={"bf": "0" if live else "2", "g": "10"})


def dicom_clip(frames: Sequence[Frame], *, frame_time_ms: float | None = 100.0, regions: Sequence[Region] = (),
               grey: bool = True, **elements: object) -> bytes:
    """A multi-frame ultrasound object, natively encoded, MONOCHROME2 or RGB; `regions`: x0, y0, x1, y1 of 2D tissue."""
    stacked = np.stack([frame[..., 0] if grey else frame for frame in frames])
    dataset = _clip_object(frames, "MONOCHROME2" if grey else "RGB", frame_time_ms, **elements)
    if regions:
        dataset.SequenceOfUltrasoundRegions = [_region_item(*region) for region in regions]
    content = stacked.tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    return _file_of(dataset, ExplicitVRLittleEndian)


def dicom_video(frames: Sequence[Frame], video: bytes, syntax: str, *, frame_time_ms: float | None = 40.0,
                fragment_bytes: int = 0, **elements: object) -> bytes:
    """A multi-frame ultrasound object that holds the encoded `video` of `frames` (PS3.5 8.2.5 and following).

    `fragment_bytes`: cut into fragments of this size; 0 for one alone.
    """
    dataset = _clip_object(frames, "YBR_PARTIAL_420", frame_time_ms, **elements)
    count = -(-len(video) // fragment_bytes) if fragment_bytes else 1
    dataset.PixelData = encapsulate([video], fragments_per_frame=count, has_bot=False)
    return _file_of(dataset, UID(syntax))


_LIVE = {
    "libx264": {"tune": "zerolatency", "g": "10"},
    "libx265": {"x265-params": "log-level=none:bframes=0:keyint=10:rc-lookahead=0"},
    "mpeg2video": {"bf": "0", "g": "10"},
}


def _clip_object(frames: Sequence[Frame], photometric: str, frame_time_ms: float | None, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "US"
    dataset.NumberOfFrames = len(frames)
    dataset.Rows, dataset.Columns = frames[0].shape[:2]
    dataset.SamplesPerPixel = 1 if photometric == "MONOCHROME2" else 3
    dataset.PhotometricInterpretation = photometric
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    if frame_time_ms is not None:
        dataset.FrameTime = frame_time_ms
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _region_item(x0: int, y0: int, x1: int, y1: int) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = 1
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    return item


def _file_of(dataset: Dataset, syntax: UID) -> bytes:
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return file.getvalue()
