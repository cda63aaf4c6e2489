"""Clips and encoded streams to frames, through FFmpeg's libraries (PyAV).

    open_clip       a whole file: its frames' times at once, then frame after frame
    stream_frames   an encoded stream, whose bytes come when they come
    read_clip       some frames of a file, for training and evaluation

Bad input ends in a `MediaError`; a MemoryError passes, since a process that is out of memory has to go. Bytes of strangers
are decoded by native code here: the gateway does it in a process for each (edge_runtime/decoding.py).
"""

from domains.media.video.clip import Clip
from domains.media.video.frame import TimedFrame
from domains.media.video.reader import open_clip, read_clip
from domains.media.video.stream import STREAM_CODECS, stream_frames

__all__ = ["STREAM_CODECS", "Clip", "TimedFrame", "open_clip", "read_clip", "stream_frames"]
