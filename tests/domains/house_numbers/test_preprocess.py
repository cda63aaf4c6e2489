"""What the model is shown of a picture and a box."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.core import Box, Image, InputSpec
from domains.house_numbers.preprocess import fit_to_input, seen_box

SPEC = InputSpec(32, 32, 127.0, 128.0, 1)


def scene(width: int, height: int) -> Image:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    return Image(pixels, width, height)


def test_colours_become_grey_as_television_does_it() -> None:
    image = Image(np.full((32, 32, 3), (200, 100, 50), np.uint8), 32, 32)
    assert (fit_to_input(image, Box(0, 0, 32, 32), SPEC) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()


def test_a_square_of_the_inputs_size_is_shown_pixel_by_pixel() -> None:
    image = scene(90, 70)
    grey = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(fit_to_input(image, Box(20, 11, 32, 32), SPEC)[0, :, :, 0], grey[11:43, 20:52])


def test_a_narrow_digit_is_not_stretched_but_shown_with_what_is_beside_it() -> None:
    image = scene(200, 100)
    narrow, square = Box(88, 20, 24, 64), Box(68, 20, 64, 64)
    assert seen_box(image, narrow) == square
    assert np.array_equal(fit_to_input(image, narrow, SPEC), fit_to_input(image, square, SPEC))


def test_beyond_the_picture_its_edge_goes_on() -> None:
    image = Image(np.zeros((64, 16, 3), np.uint8), 16, 64)
    image.pixels[:, :8], image.pixels[:, 8:] = 50, 150
    seen = fit_to_input(image, Box(0, 0, 16, 64), SPEC)[0, :, :, 0]
    assert seen_box(image, Box(0, 0, 16, 64)) == Box(0, 0, 16, 64)
    assert (seen[:, :16] == 50).all()
    assert (seen[:, 16:] == 150).all()


def test_a_large_digit_is_averaged_and_leaves_no_speckle() -> None:
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 200
    seen = fit_to_input(Image(stripes, 320, 320), Box(0, 0, 320, 320), SPEC)
    assert (seen == 100).all()


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_any_box_of_any_picture_gives_the_models_input_and_a_region_inside_the_picture(
    width: int, height: int, data: st.DataObject
) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    digit = Box(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    image = scene(width, height)
    seen = seen_box(image, digit)
    assert fit_to_input(image, digit, SPEC).shape == (1, 32, 32, 1)
    assert seen.x <= digit.x
    assert seen.y <= digit.y
    assert digit.x + digit.width <= seen.x + seen.width <= width
    assert digit.y + digit.height <= seen.y + seen.height <= height


@pytest.mark.parametrize(("width", "height"), [(20000, 1), (1, 20000), (6000, 4000)])
def test_a_picture_of_any_proportions_costs_no_more_than_its_own_pixels(width: int, height: int) -> None:
    image = Image(np.zeros((height, width, 3), np.uint8), width, height)
    assert fit_to_input(image, Box(0, 0, width, height), SPEC).shape == (1, 32, 32, 1)
