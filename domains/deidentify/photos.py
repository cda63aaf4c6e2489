"""A photo or a screenshot: JPEG, PNG and WebP keep their coded pixels, other formats become PNG."""

from collections.abc import Callable
from io import BytesIO

import cv2

from domains.core import MediaHeader, Pixels
from domains.deidentify.chunks import bare_png, bare_webp
from domains.deidentify.exif import UPRIGHT, kept_exif
from domains.deidentify.jpeg_segments import bare_jpeg
from domains.deidentify.outcome import Deidentified, HeldBack
from domains.deidentify.quiet import silence
from domains.deidentify.text import TextReader, shows_text
from domains.media import Limits, decode, read_header
from domains.media.tiff_directory import orientation_of

STRIPPED, REENCODED, PLACE_KEPT, SEARCHED = "metadata-stripped", "reencoded-as-png", "gps-kept", "no-text-found"

_BARE: dict[str, Callable[[bytes, bytes], bytes]] = {"jpeg": bare_jpeg, "png": bare_png, "webp": bare_webp}


def deidentified_photo(
    payload: bytes, header: MediaHeader, *, keep_gps: bool, find_text: TextReader, limits: Limits
) -> Deidentified:
    """The photo without what tells whose it is. Raises HeldBack where text shows in it, and as decoding does."""
    silence()
    pixels = decode(payload, header, limits).pixels
    if shows_text(pixels, find_text):
        raise HeldBack("text was found in the picture")
    block = _exif_block(payload, header.format)
    if header.format in _BARE:
        exif = kept_exif(block, orientation_of(block), keep_gps=keep_gps)
        cleaned, media_format = _BARE[header.format](payload, exif), header.format
    else:
        exif = kept_exif(block, UPRIGHT, keep_gps=keep_gps)  # decoding has turned it already
        cleaned, media_format = bare_png(_png_of(pixels), exif), "png"
    _check_same_picture(cleaned, media_format, header, pixels, limits)
    rules = (STRIPPED, *((REENCODED,) if media_format != header.format else ()), *((PLACE_KEPT,) if _has_place(exif) else ()))
    return Deidentified(cleaned, media_format, (*rules, SEARCHED))


def _check_same_picture(payload: bytes, media_format: str, before: MediaHeader, pixels: Pixels, limits: Limits) -> None:
    """What leaves is what was searched for text, to the last pixel."""
    header = read_header(payload, limits)
    as_before = (header.format, header.width, header.height) == (media_format, before.width, before.height)
    if not as_before or not (decode(payload, header, limits).pixels == pixels).all():
        raise HeldBack("the picture would look different without what was stripped from it")


def _exif_block(payload: bytes, media_format: str) -> bytes:
    """The file's EXIF as a TIFF structure; empty where it has none that can be read."""
    if media_format == "tiff":
        return payload
    if media_format == "heic":
        import pi_heif

        block = pi_heif.open_heif(payload).info.get("exif") or b""
    else:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(BytesIO(payload)) as opened:
                block = opened.info.get("exif") or b""
        except (OSError, SyntaxError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
            block = b""
    return bytes(block).removeprefix(b"Exif\0\0")


def _has_place(exif: bytes) -> bool:
    return bool(exif) and bool(kept_exif(exif, UPRIGHT, keep_gps=True))


def _png_of(pixels: Pixels) -> bytes:
    done, content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise HeldBack("the picture could not be written anew")
    return bytes(content.tobytes())
