"""Photos come out upright, whichever way the camera was held, at full and at reduced scale."""

from pathlib import Path

import numpy as np
import pytest

from domains.core import Image
from domains.media import read_header
from domains.media.tiff_directory import orientation_of
from tests.domains.media.pictures import (
    LIMITS,
    difference,
    exif,
    jpeg,
    opened,
    pillow,
    png_chunk,
    saved,
    scene,
    tiff,
    turned,
)

FILES = Path(__file__).parent / "files"
UPRIGHT = scene(96, 128)
ORIENTATIONS = range(1, 9)


def is_upright(image: Image) -> bool:
    """Whether `image` shows the scene the right way up, at any scale."""
    shown = pillow(UPRIGHT).resize((image.width, image.height))
    return difference(image.pixels, np.asarray(shown)) < 6


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_comes_out_upright(file_format: str, orientation: int) -> None:
    stored = turned(pillow(UPRIGHT), orientation)
    if file_format == "TIFF":
        payload = saved(stored, "TIFF", tiffinfo={274: orientation})
    else:
        payload = saved(stored, file_format, exif=exif(orientation), quality=95)
    header, image = read_header(payload, LIMITS), opened(payload)
    assert (header.width, header.height) == (128, 96)
    assert (image.full_width, image.full_height) == (128, 96)
    assert is_upright(image)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photo_decoded_at_reduced_scale_is_upright_too(orientation: int) -> None:
    payload = saved(turned(pillow(UPRIGHT), orientation), "JPEG", exif=exif(orientation), quality=95)
    image = opened(payload, min_side=40)
    assert (image.width, image.height) == (64, 48)
    assert (image.full_width, image.full_height) == (128, 96)
    assert is_upright(image)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_16_bit_tiffs_come_out_upright(orientation: int) -> None:
    stored = np.asarray(turned(pillow(UPRIGHT), orientation))
    assert is_upright(opened(tiff(stored.astype(np.uint16) * 257, 2, more={274: orientation})))


def test_a_heic_photo_is_turned_once() -> None:
    header = read_header((FILES / "turned.heic").read_bytes(), LIMITS)
    pixels = opened((FILES / "turned.heic").read_bytes()).pixels
    assert (header.width, header.height) == (64, 96)
    corners = [pixels[y, x].argmax() for y, x in ((5, 5), (5, -5), (-5, -5))]
    assert corners == [2, 0, 1]  # blue, red, green: the red, green, yellow and blue quarters turned clockwise


@pytest.mark.parametrize(("shorter_side", "min_side", "expected"), [
    (96, None, 96), (96, 97, 96), (96, 96, 96), (96, 48, 48), (96, 47, 48), (96, 24, 24), (96, 13, 24), (96, 12, 12),
    (96, 1, 12), (97, 48, 49), (97, 49, 97),
])
def test_a_jpeg_is_halved_only_while_enough_is_left(shorter_side: int, min_side: int | None, expected: int) -> None:
    image = opened(jpeg(scene(shorter_side, 200)), min_side=min_side)
    assert image.height == expected
    assert image.full_height == shorter_side


def test_other_formats_keep_their_size() -> None:
    assert opened(saved(pillow(UPRIGHT), "PNG"), min_side=16).width == 128


@pytest.mark.parametrize("block", [
    b"", b"Exif\0\0", b"Exif\0\0II*\0", exif(6)[:-9], b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense",
    exif(6).replace(b"\x06", b"\x63"),
])
def test_a_broken_exif_block_leaves_the_photo_as_it_is(block: bytes) -> None:
    assert orientation_of(block) == 1
    whole = jpeg(UPRIGHT)
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    assert is_upright(opened(whole[:2] + segment + whole[2:]))


def test_exif_behind_the_pixels_of_a_png_counts() -> None:
    payload = saved(turned(pillow(UPRIGHT), 6), "PNG")
    chunk = png_chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0"))
    assert is_upright(opened(payload[:-12] + chunk + payload[-12:]))
