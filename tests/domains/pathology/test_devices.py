"""What another device draws into a training picture."""

import numpy as np
import pytest

from domains.pathology.training import devices

GREY = np.full((224, 224, 3), 90, np.uint8)


def drawn(seed: int) -> np.ndarray:
    return np.asarray(devices.another_device(GREY, np.random.default_rng(seed)))


def test_the_picture_itself_stays_as_it_is() -> None:
    for seed in range(20):
        drawn(seed)
    assert (GREY == 90).all()


def test_the_same_draw_gives_the_same_picture() -> None:
    assert all(np.array_equal(drawn(seed), drawn(seed)) for seed in range(10))


def test_some_pictures_are_left_alone_and_most_are_changed() -> None:
    changed = [not np.array_equal(drawn(seed), GREY) for seed in range(200)]
    assert 0.6 < np.mean(changed) < 0.95


def test_callipers_and_text_hide_little_of_the_tissue() -> None:
    bright = [float((drawn(seed) > 140).mean()) for seed in range(60)]
    assert max(bright) < 0.15


@pytest.mark.parametrize("corner", [(0, 0), (0, -1)])
def test_other_probes_leave_the_corners_black(corner: tuple[int, int]) -> None:
    black = [bool((drawn(seed)[corner] == 0).all()) for seed in range(200)]
    assert 0.15 < np.mean(black) < 0.5
