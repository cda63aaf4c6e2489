"""Whole files of any kind: video containers and multi-frame DICOM objects."""

import numpy as np

from domains.core import Pixels, UnsupportedMedia
from domains.formats import clip_format
from domains.media.limits import Limits
from domains.media.sniff import sniff
from domains.media.video.clip import Clip, open_video

NOT_A_CLIP = "not a clip format that is read here: MP4, MOV, AVI, WebM, GIF, MPEG or DICOM"


def open_clip(payload: bytes, limits: Limits) -> Clip:
    """The clip in `payload`, with one frame decoded to see how it lies.

    Raises EmptyMedia, MediaTooLarge beyond `limits`, UnsupportedMedia for what is no clip or not read here, CorruptMedia
    where no frame can be decoded.
    """
    limits.check_payload(len(payload))
    format_name = clip_format(payload)
    if format_name:
        return open_video(format_name, payload, limits)
    if not _is_dicom(payload):
        raise UnsupportedMedia(NOT_A_CLIP)
    from domains.media.dicom.clip import open_dicom_clip

    return open_dicom_clip(payload, limits)


def read_clip(payload: bytes, count: int) -> list[Pixels]:
    """At most `count` frames, evenly spaced from the first to the last, uint8 RGB (height, width, 3), upright.

    For files of one's own, so without limits of size. Raises as `open_clip` does.
    """
    clip = open_clip(payload, Limits(max_bytes=2**40, max_frames=10**6, max_decoded_bytes=2**40, min_side=1))
    frames = list(clip.frames())
    wanted = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[index].pixels() for index in wanted]


def _is_dicom(payload: bytes) -> bool:
    try:
        return sniff(payload) == "dicom"
    except UnsupportedMedia:
        return False
