"""Bytes to pixels: what a file is, whether it may be decoded, and its pixels as uint8 RGB.

    read_header   format, size and frames from the file's own header; every limit is checked here, before decoding
    decode        one frame, upright

Both refuse bad input with `MediaError`s (and `InvalidParameter` for a frame that isn't there) and with nothing else.
The libraries for DICOM and HEIC are imported when the first such file arrives.
"""

from domains.media.limits import Limits
from domains.media.reader import Payload, decode, read_header

__all__ = ["Limits", "Payload", "decode", "read_header"]
