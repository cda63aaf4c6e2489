"""Each still format comes out as the colours that were put in."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from domains.core import InvalidParameter, UnsupportedMedia
from domains.media import read_header
from tests.domains.media.pictures import (
    LIMITS,
    difference,
    exif,
    jpeg,
    opencv_file,
    opened,
    pillow,
    png_chunk,
    saved,
    scene,
    tiff,
)

FILES = Path(__file__).parent / "files"
SCENE = scene()
GREY = np.asarray(pillow(SCENE).convert("L"))
GREY_RGB = np.dstack([GREY] * 3)
ALPHA = np.full((60, 80), 255, np.uint8)
ALPHA[:, 40:] = 0
ON_WHITE = np.where(ALPHA[..., np.newaxis] > 0, SCENE, 255)
PALETTE = pillow(SCENE).quantize(17)
BILEVEL = pillow(SCENE).convert("1")
BILEVEL_RGB = np.asarray(BILEVEL.convert("RGB"))

LOSSLESS = {
    "png": (saved(pillow(SCENE), "PNG"), SCENE),
    "png, grey": (saved(pillow(GREY), "PNG"), GREY_RGB),
    "png, palette": (saved(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
    "png, 2-bit palette": (saved(pillow(SCENE).quantize(4), "PNG", bits=2),
                           np.asarray(pillow(SCENE).quantize(4).convert("RGB"))),
    "png, bilevel": (saved(BILEVEL, "PNG"), BILEVEL_RGB),
    "png, alpha": (saved(pillow(np.dstack([SCENE, ALPHA])), "PNG"), ON_WHITE),
    "png, grey with alpha": (saved(pillow(np.dstack([GREY, ALPHA])), "PNG"),
                             np.where(ALPHA[..., np.newaxis] > 0, GREY_RGB, 255)),
    "png, 16 bits grey": (opencv_file(".png", GREY.astype(np.uint16) * 257), GREY_RGB),
    "png, 16 bits RGB": (opencv_file(".png", SCENE[..., ::-1].astype(np.uint16) * 257), SCENE),
    "png, 16 bits alpha": (opencv_file(".png", np.dstack([SCENE[..., ::-1], ALPHA]).astype(np.uint16) * 257), ON_WHITE),
    "webp": (saved(pillow(SCENE), "WEBP", lossless=True), SCENE),
    "webp, alpha": (saved(pillow(np.dstack([SCENE, ALPHA])), "WEBP", lossless=True, exact=True), ON_WHITE),
    "bmp": (saved(pillow(SCENE), "BMP"), SCENE),
    "bmp, grey": (saved(pillow(GREY), "BMP"), GREY_RGB),
    "bmp, palette": (saved(PALETTE, "BMP"), np.asarray(PALETTE.convert("RGB"))),
    "bmp, bilevel": (saved(BILEVEL, "BMP"), BILEVEL_RGB),
    "bmp, 32 bits with an empty fourth byte": (saved(pillow(np.dstack([SCENE, 0 * ALPHA])), "BMP"), SCENE),
    "tiff": (tiff(SCENE, 2), SCENE),
    "tiff, big-endian": (tiff(SCENE, 2, byte_order=">"), SCENE),
    "tiff, BigTIFF": (tiff(SCENE, 2, big=True), SCENE),
    "tiff, planes": (tiff(SCENE, 2, planes=True), SCENE),
    "tiff, white is zero": (tiff(255 - GREY, 0), GREY_RGB),
    "tiff, palette": (saved(PALETTE, "TIFF"), np.asarray(PALETTE.convert("RGB"))),
    "tiff, bilevel": (saved(BILEVEL, "TIFF"), BILEVEL_RGB),
    "tiff, bilevel, Group 4": (saved(BILEVEL, "TIFF", compression="group4"), BILEVEL_RGB),
    "tiff, LZW": (saved(pillow(SCENE), "TIFF", compression="tiff_lzw"), SCENE),
    "tiff, deflate": (saved(pillow(SCENE), "TIFF", compression="tiff_adobe_deflate"), SCENE),
    "tiff, PackBits": (saved(pillow(SCENE), "TIFF", compression="packbits"), SCENE),
    "tiff, 16 bits grey": (tiff(GREY.astype(np.uint16) * 257, 1), GREY_RGB),
    "tiff, 16 bits, white is zero": (tiff(65535 - GREY.astype(np.uint16) * 257, 0), GREY_RGB),
    "tiff, 16 bits RGB": (tiff(SCENE.astype(np.uint16) * 257, 2), SCENE),
    "tiff, 16 bits RGB in planes": (tiff(SCENE.astype(np.uint16) * 257, 2, planes=True), SCENE),
    "tiff, alpha": (tiff(np.dstack([SCENE, ALPHA]), 2, extra_sample=2), ON_WHITE),
    "tiff, premultiplied alpha": (tiff(np.dstack([np.where(ALPHA[..., np.newaxis] > 0, SCENE, 0).astype(np.uint8), ALPHA]),
                                       2, extra_sample=1), ON_WHITE),
    "tiff, 16 bits alpha": (tiff(np.dstack([SCENE, ALPHA]).astype(np.uint16) * 257, 2, extra_sample=2), ON_WHITE),
    "tiff, fourth sample of unknown meaning": (tiff(np.dstack([SCENE, 0 * ALPHA]), 2, extra_sample=0), SCENE),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_pictures_keep_their_colours(name: str) -> None:
    payload, expected = LOSSLESS[name]
    image = opened(payload)
    assert read_header(payload, LIMITS).format == name.split(",", maxsplit=1)[0]
    assert difference(image.pixels, expected) <= 0.5  # 16-bit steps and alpha round
    assert image.pixels.flags.c_contiguous
    assert (image.full_width, image.full_height) == (80, 60)


LOSSY = {
    "baseline": (jpeg(SCENE), SCENE),
    "progressive": (jpeg(SCENE, progressive=True), SCENE),
    "with restart markers": (jpeg(SCENE, restart_marker_blocks=1), SCENE),
    "grey": (saved(pillow(GREY), "JPEG", quality=95), GREY_RGB),
    "CMYK": (saved(pillow(SCENE).convert("CMYK"), "JPEG", quality=98, subsampling=0), SCENE),
    "kept as RGB": (jpeg(SCENE, keep_rgb=True), SCENE),
    "WebP": (saved(pillow(SCENE), "WEBP", quality=98), SCENE),
    "JPEG in TIFF": (saved(pillow(SCENE), "TIFF", compression="jpeg", quality=98), SCENE),
    "CMYK in TIFF": (saved(pillow(SCENE).convert("CMYK"), "TIFF"), SCENE),
    "HEIC": ((FILES / "upright.heic").read_bytes(), None),
    "HEIC of 10 bits": ((FILES / "ten_bits.heic").read_bytes(), None),
}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_pictures_look_as_they_did(name: str) -> None:
    payload, expected = LOSSY[name]
    pixels = opened(payload).pixels
    if expected is None:
        expected = quarters(64, 96)
    assert difference(pixels, expected) < 4


def quarters(height: int, width: int) -> np.ndarray:
    """What the HEIC files in `files` show: flat quarters of red, green, blue and yellow."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = (220, 30, 30), (30, 200, 30)
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = (30, 30, 220), (230, 230, 60)
    return picture


def test_what_is_transparent_in_a_heic_photo_becomes_white() -> None:
    pixels = opened((FILES / "transparent.heic").read_bytes()).pixels
    assert pixels[:8].min() == 255
    assert difference(pixels[14:], quarters(64, 96)[14:]) < 4


def test_half_transparent_pixels_mix_with_white() -> None:
    half = np.dstack([SCENE, np.full((60, 80), 128, np.uint8)])
    assert difference(opened(saved(pillow(half), "PNG")).pixels, (SCENE.astype(float) + 255) / 2) < 1


@pytest.mark.parametrize("file_format", ["WEBP", "PNG"])
def test_an_animation_shows_its_first_frame(file_format: str) -> None:
    file = io.BytesIO()
    others = [PillowImage.new("RGB", (80, 60), colour) for colour in ("black", "white")]
    pillow(SCENE).save(file, file_format, save_all=True, append_images=others, duration=100, lossless=True)
    image = opened(file.getvalue())
    assert difference(image.pixels, SCENE) == 0
    assert image.frame_count == 1


def test_only_the_first_page_of_a_tiff_is_shown() -> None:
    file = io.BytesIO()
    pillow(SCENE).save(file, "TIFF", save_all=True, append_images=[PillowImage.new("RGB", (80, 60), "black")])
    assert difference(opened(file.getvalue()).pixels, SCENE) == 0


def test_a_file_is_read_for_what_it_is_and_a_memoryview_as_well_as_bytes() -> None:
    payload = memoryview(b"--" + saved(pillow(SCENE), "PNG"))[2:]
    header = read_header(payload, LIMITS)
    assert (header.format, header.width, header.height, header.frame_count, header.dicom) == ("png", 80, 60, 1, None)


@pytest.mark.parametrize("payload", [
    b"just some words that somebody renamed to picture.jpg",
    b"BM is how this text starts, and it is no bitmap at all",
    b"RIFF\x24\0\0\0WAVEfmt ",
    b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + bytes(100),
    b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100),
    b"%PDF-1.7 " + bytes(200),
    saved(PALETTE, "GIF"),
    bytes(500),
    b"\x08",
], ids=["text", "text that starts like a bitmap", "sound", "AVIF", "video", "PDF", "GIF", "zeros", "one byte"])
def test_what_is_no_picture_is_refused_with_the_list_of_formats(payload: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="JPEG, PNG, WebP, TIFF, BMP, HEIC, PNM or DICOM"):
        read_header(payload, LIMITS)


@pytest.mark.parametrize(("payload", "reason"), [
    (saved(pillow(GREY.astype(np.float32)), "TIFF"), "unsigned integers"),
    (saved(pillow(SCENE).convert("LAB"), "TIFF"), "colour space"),
    (tiff(SCENE, 2, more={254: 1}), "preview"),
    (tiff(SCENE, 2, more={259: 50000}), "compression 50000"),
    (jpeg(SCENE).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "8-bit"),
    (jpeg(SCENE).replace(b"\xff\xc0", b"\xff\xc9"), "baseline"),
    (saved(pillow(SCENE), "BMP").replace(b"\x18\0\0\0\0\0", b"\x18\0\x01\0\0\0", 1), "uncompressed"),
], ids=["floating-point TIFF", "CIELAB TIFF", "raw photo", "unknown TIFF compression", "12-bit JPEG", "arithmetic JPEG",
        "compressed BMP"])
def test_a_kind_that_is_not_read_is_refused_by_name(payload: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedMedia, match=reason):
        read_header(payload, LIMITS)


def test_metadata_around_the_picture_does_no_harm() -> None:
    thumbnail = jpeg(scene(24, 32))
    phone = jpeg(SCENE, exif=exif(1) + thumbnail, comment=b"\xff\xd9 in a comment") + thumbnail + b"trailing XMP"
    assert difference(opened(phone).pixels, SCENE) < 2
    png = saved(pillow(SCENE), "PNG")
    assert difference(opened(png[:33] + png_chunk(b"teXt", b"words") + png[33:] + b"more").pixels, SCENE) == 0


def test_a_second_frame_of_a_still_is_refused_with_the_count() -> None:
    with pytest.raises(InvalidParameter, match="1 frame; frame 2 was asked for") as caught:
        opened(jpeg(SCENE), frame_number=2)
    assert caught.value.parameter == "frame"
