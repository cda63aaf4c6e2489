"""Which codec an Annex B stream is in, by its parameter sets: ITU-T H.264 section 7.4.1 and H.265 section 7.4.2.2."""

import re

_H264_SPS = re.compile(rb"\x00\x00\x01[\x27\x47\x67]")
_H264_PPS = re.compile(rb"\x00\x00\x01[\x28\x48\x68]")
_HEVC_VPS = re.compile(rb"\x00\x00\x01\x40\x01")
_HEVC_SPS = re.compile(rb"\x00\x00\x01\x42\x01")

START_CODE = b"\0\0\1"


def codec_by_parameter_sets(data: bytes) -> str:
    """`h264` or `hevc`, or "" where `data` doesn't hold both of the first two parameter sets of one alone."""
    is_h264 = bool(_H264_SPS.search(data) and _H264_PPS.search(data))
    is_hevc = bool(_HEVC_VPS.search(data) and _HEVC_SPS.search(data))
    if is_h264 == is_hevc:
        return ""
    return "h264" if is_h264 else "hevc"
