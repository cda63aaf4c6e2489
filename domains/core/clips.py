"""Frames of ordinary video files, for training and evaluation. Requests bring stills and DICOM; see domains/media."""

from pathlib import Path

import av
import numpy as np

from domains.core.image import Pixels


def read_clip(path: Path, count: int) -> list[Pixels]:
    """At most `count` frames, evenly spaced from the first to the last, uint8 RGB (height, width, 3).

    Raises ValueError where the file has no frame, and PyAV's own errors where it isn't a video.
    """
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if not frames:
        raise ValueError("the clip has no frame")
    wanted = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [np.ascontiguousarray(frames[index], np.uint8) for index in wanted]
