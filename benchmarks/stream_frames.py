"""JPEG frames for benchmarks/streams.py: a still that moves a little, or a clip."""

import math
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

SHIFT_PX = 6.0
NOISE_STD = 4.0
"""Grey levels; new for each frame, so that no two are equal."""
SEED = 4
MOST_FRAMES = 300


def moving_still(path: Path, count: int = 150) -> list[NDArray[np.uint8]]:
    """Grey frames (h, w) of a picture that sways by some pixels, with noise. The last goes over into the first.

    Raises ValueError where the file is no picture.
    """
    still = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if still is None:
        raise ValueError(f"{path} is no picture")
    height, width = still.shape
    chance, frames = np.random.default_rng(SEED), []
    for number in range(count):
        turn = 2 * math.pi * number / count
        across, down = SHIFT_PX * math.sin(turn), SHIFT_PX * math.sin(2 * turn)
        moved = cv2.warpAffine(still, np.array([[1.0, 0, across], [0, 1.0, down]]), (width, height))
        noisy = moved + chance.normal(0, NOISE_STD, moved.shape) * (moved > 0)
        frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return frames


def frames_of_clip(path: Path) -> list[NDArray[np.uint8]]:
    """The first frames of a clip, BGR (h, w, 3). Raises ValueError where none can be decoded."""
    frames: list[NDArray[np.uint8]] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                frames.append(frame.to_ndarray(format="bgr24").astype(np.uint8))
                if len(frames) == MOST_FRAMES:
                    break
    except (av.FFmpegError, IndexError) as error:
        if not frames:
            raise ValueError(f"{path} has no frames: {error}") from error
    return frames


def write_frames(frames: list[NDArray[np.uint8]], path: Path, quality: int) -> int:
    """Writes them as JPEG files in one msgpack list; gives the mean size of a frame in bytes."""
    coded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for frame in frames]
    path.write_bytes(msgspec.msgpack.encode(coded))
    return sum(map(len, coded)) // len(coded)
