"""Pictures made smaller: the mean of what each new pixel covers, whatever the way there."""

import cv2
import numpy as np
import pytest

from domains.core import Pixels
from domains.core.resize import averaged


def photo(height: int, width: int) -> Pixels:
    """Light and dark in waves of several lengths, with noise."""
    y, x = np.mgrid[:height, :width]
    waves = 120 + 60 * np.sin(x / 37) * np.cos(y / 23) + 30 * np.sin(x / 5 + y / 7)
    noise = np.random.default_rng(5).normal(0, 12, (height, width, 3))
    return np.asarray((waves[..., None] + noise).clip(0, 255), np.uint8)


@pytest.mark.parametrize("size", [(720, 1280), (768, 1024), (1080, 1920), (700, 5000), (3000, 4000), (2689, 4001)])
def test_it_is_the_mean_to_within_what_jpeg_changes(size: tuple[int, int]) -> None:
    whole = photo(*size)
    exact = cv2.resize(whole.astype(np.float32), (224, 224), interpolation=cv2.INTER_AREA)
    small = averaged(whole, 224, 224)
    assert small.shape == (224, 224, 3)
    coded = cv2.imencode(".jpg", exact.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    jpeg = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.float32)
    assert np.abs(small - exact).mean() < np.abs(jpeg - exact).mean()


@pytest.mark.parametrize("size", [(300, 400), (671, 3000), (3000, 671)])
def test_less_than_three_times_as_large_in_a_direction_it_is_opencvs_own(size: tuple[int, int]) -> None:
    whole = photo(*size)
    np.testing.assert_array_equal(averaged(whole, 224, 224), cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA))


def test_a_grey_picture_stays_one_and_a_power_of_two_is_exact() -> None:
    grey = photo(256, 512)[..., 0]
    blocks = grey.reshape(32, 8, 64, 8).mean(axis=(1, 3))
    assert averaged(grey, 64, 32).shape == (32, 64)
    assert np.abs(averaged(grey, 64, 32) - blocks).max() <= 1.5, "a rounding a step"
