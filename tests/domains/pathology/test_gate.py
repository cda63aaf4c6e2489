"""What the gate of an exam is shown of its own pictures."""

import numpy as np
import pytest

from domains.core import Pixels
from domains.pathology.training.gate import GAINS, NOISE, TINT, views

COLOUR = (200, 120, 40)


@pytest.fixture
def shown() -> list[Pixels]:
    plain = np.full((1, 32, 48, 3), COLOUR, np.uint8)
    return list(views(plain, np.random.default_rng(0)))


def test_every_view_is_a_picture_of_the_same_size(shown: list[Pixels]) -> None:
    assert {(view.dtype, view.shape) for view in shown} == {(np.dtype(np.uint8), (1, 32, 48, 3))}
    assert len(shown) == len(GAINS) + 4


def test_gains_come_first_and_stay_within_the_range(shown: list[Pixels]) -> None:
    assert [tuple(view[0, 0, 0]) for view in shown[:4]] == [(100, 60, 20), (150, 90, 30), COLOUR, (229, 138, 46)]


def test_noise_is_of_grey_levels_and_has_no_colour(shown: list[Pixels]) -> None:
    noise = shown[4].astype(int) - COLOUR
    assert 0 < noise.std() <= NOISE
    assert np.ptp(noise, axis=-1).max() <= 1


def test_coding_anew_keeps_red_red_and_blue_blue(shown: list[Pixels]) -> None:
    np.testing.assert_allclose(shown[5].reshape(-1, 3).mean(axis=0), COLOUR, atol=6)


def test_the_two_tints_differ_and_part_the_channels_no_further_than_said(shown: list[Pixels]) -> None:
    first, second = (view[0, 0, 0] / COLOUR for view in shown[6:])
    assert np.abs(first - second).max() > 0.01
    for tint in (first, second):
        assert np.ptp(tint) > 0.01
        assert (np.abs(tint - 1) <= TINT + 0.03).all()
