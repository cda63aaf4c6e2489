"""DICOM stills and clips through pydicom: header, limits, one frame as upright RGB, ultrasound regions."""

from domains.media.dicom.frame import decode
from domains.media.dicom.header import read_header

__all__ = ["decode", "read_header"]
