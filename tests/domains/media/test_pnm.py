"""Frames travel to workers as PNM: what was put in comes out, and nothing else is taken for one."""

import numpy as np
import pytest

from domains.core import CorruptMedia, MediaError, MediaTooLarge, UltrasoundRegion, UnsupportedMedia
from domains.media import Limits, pnm, read_header
from domains.pnm import grey_header
from tests.domains.media.pictures import LIMITS, opened, scene

SCENE = scene()
GREY = np.ascontiguousarray(SCENE[..., 1])
REGIONS = (UltrasoundRegion(0, 0, 79, 20, 1, 1), UltrasoundRegion(5, 30, 70, 59, 3, 18))


def test_a_picture_comes_out_as_it_was_put_in() -> None:
    header = read_header(pnm.encode(SCENE), LIMITS)
    assert (header.format, header.width, header.height, header.frame_count) == ("pnm", 80, 60, 1)
    assert np.array_equal(opened(pnm.encode(SCENE)).pixels, SCENE)
    assert np.array_equal(opened(pnm.encode(GREY)).pixels, np.dstack([GREY] * 3))


def test_regions_of_an_ultrasound_frame_travel_along() -> None:
    assert opened(pnm.encode(GREY, REGIONS)).regions == REGIONS
    assert opened(pnm.encode(SCENE)).regions == ()


def test_colour_pixels_are_not_copied() -> None:
    payload = pnm.encode(SCENE)
    pixels = opened(payload).pixels
    assert np.shares_memory(pixels, np.frombuffer(payload, np.uint8))


def test_rows_of_grey_bytes_need_only_a_header() -> None:
    assert np.array_equal(opened(grey_header(80, 60) + GREY.tobytes()).pixels[..., 0], GREY)
    with pytest.raises(ValueError, match="0x60"):
        grey_header(0, 60)


@pytest.mark.parametrize("header", [
    b"P5 80 60 255 ", b"P5\n# made by hand\n80 # wide\n60\n255\n", b"P5\r\n80\t60\r\n255\n",
], ids=["one line", "comments", "carriage returns"])
def test_headers_of_other_programs_are_read(header: bytes) -> None:
    assert np.array_equal(opened(header + GREY.tobytes()).pixels[..., 0], GREY)


def test_a_grey_picture_in_three_channels_travels_as_one() -> None:
    assert pnm.without_colour(np.dstack([GREY] * 3)).shape == (60, 80)
    assert pnm.without_colour(SCENE) is SCENE


@pytest.mark.parametrize(("payload", "error", "reason"), [
    (pnm.encode(SCENE)[:-1], CorruptMedia, "14399 bytes of pixels, its header states 14400"),
    (pnm.encode(SCENE) + b"\0", CorruptMedia, "14401 bytes"),
    (b"P6\n80 60\n65535\n" + bytes(28800), UnsupportedMedia, "8 bits"),
    (b"P6\n80", CorruptMedia, "header is malformed"),
    (b"P5\n0 60\n255\n", CorruptMedia, "no size"),
    (b"P6 is how this text begins", CorruptMedia, "header is malformed"),
    (b"P5\n# region 0 0 80 20 1 1\n80 60\n255\n" + GREY.tobytes(), CorruptMedia, "region lies outside"),
    (b"P5\n99999 99999\n255\n" + bytes(100), MediaTooLarge, "megapixels"),
], ids=["cut", "too long", "16 bits", "no size", "empty", "text", "region", "bomb"])
def test_what_is_wrong_with_it_is_named(payload: bytes, error: type[MediaError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        opened(payload)


def test_a_limit_counts_for_it_as_for_any_picture() -> None:
    with pytest.raises(MediaTooLarge):
        opened(pnm.encode(SCENE), limits=Limits(max_pixels=4000))


def test_only_pixels_can_be_written() -> None:
    with pytest.raises(ValueError, match="float64"):
        pnm.encode(SCENE.astype(float))
    with pytest.raises(ValueError, match=r"\(60, 80, 2\)"):
        pnm.encode(SCENE[..., :2])
