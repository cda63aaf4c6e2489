"""The directions of a gate, found on numbers whose structure is known."""

import numpy as np
import pytest

from domains.core.gate_fit import FARTHEST, fit_gate, threshold

RANDOM = np.random.default_rng(5)
OWN = RANDOM.normal(3, 1, (2000, 12)) * np.linspace(0.2, 2, 12)


def familiar(features: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return np.asarray(((features @ matrix + offset) ** 2).mean(axis=1))


def elsewhere(axis: int, by: float, count: int = 50) -> np.ndarray:
    moved = OWN[:count].copy()
    moved[:, axis] += by
    return moved


def test_pictures_of_the_models_world_have_an_unfamiliarity_of_about_one() -> None:
    matrix, offset = fit_gate(OWN, elsewhere(0, 5), 4)
    assert matrix.shape == (12, 4)
    assert offset.shape == (4,)
    assert abs(familiar(OWN, matrix, offset).mean() - 1) < 0.05


def test_the_directions_are_those_in_which_the_background_lies_far_off() -> None:
    matrix, offset = fit_gate(OWN, elsewhere(0, 5), 1)
    assert familiar(elsewhere(0, 5), matrix, offset).min() > 4 * familiar(OWN, matrix, offset).mean()
    assert familiar(elsewhere(7, 5), matrix, offset).mean() < 2


def test_a_kind_of_picture_that_was_in_no_background_is_far_off_where_it_shares_a_direction() -> None:
    matrix, offset = fit_gate(OWN, elsewhere(0, 5), 2)
    assert familiar(elsewhere(0, -5), matrix, offset).min() > 4


def test_one_extreme_kind_does_not_take_all_the_directions() -> None:
    extreme, near = elsewhere(0, 1e6), elsewhere(5, 6)
    matrix, offset = fit_gate(OWN, np.concatenate([extreme, near]), 2)
    assert familiar(near, matrix, offset).min() > 4
    assert FARTHEST < 1e6


def test_features_that_hardly_vary_do_not_pass_for_far_off() -> None:
    flat = OWN.copy()
    flat[:, 3] = 1 + RANDOM.normal(0, 1e-9, len(OWN))
    matrix, offset = fit_gate(flat[:1000], flat[1000:] + RANDOM.normal(0, 1, (1000, 12)), 12)
    assert familiar(flat[1000:] + np.eye(12)[3] * 1e-6, matrix, offset).mean() < 2


def test_the_threshold_lets_all_but_the_stated_share_pass_with_some_slack() -> None:
    distances = np.arange(101) / 100
    assert threshold(distances, 0.02, 1.0) == pytest.approx(0.98)
    assert threshold(distances, 0.02, 1.5) == pytest.approx(1.47)
