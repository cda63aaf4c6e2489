"""Whether probabilities are told from boasts."""

import numpy as np
import pytest

from domains.core.reliability import (
    area_under_risk_coverage,
    calibration_error,
    error_by_chance,
    reliability_bins,
    risk_coverage,
)


def test_probabilities_that_come_true_have_hardly_an_error_and_boasts_have_the_difference() -> None:
    random = np.random.default_rng(0)
    honest = random.uniform(0.4, 1, 20000)
    right = random.random(20000) < honest
    assert calibration_error(honest, right) < 0.02
    assert calibration_error(np.full(10, 0.95), np.arange(10) < 6) == pytest.approx(0.35)


def test_the_error_of_few_honest_cases_is_told_as_chance() -> None:
    honest = np.random.default_rng(0).uniform(0.4, 1, 30)
    assert 0.08 < error_by_chance(honest) < 0.25
    assert error_by_chance(np.tile(honest, 200)) < 0.03


def test_every_case_lies_in_one_bin_the_surest_too() -> None:
    found = reliability_bins(np.array([0.0, 0.5, 0.51, 1.0]), np.array([False, True, False, True]), bins=10)
    assert [(row.low, row.cases, row.accuracy) for row in found] == [(0.0, 1, 0.0), (0.5, 2, 0.5), (0.9, 1, 1.0)]


def test_leaving_the_unsure_open_lowers_the_risk_whatever_the_order_of_equals() -> None:
    sure = np.array([0.6, 0.9, 0.9, 0.99])
    for right in (np.array([False, True, False, True]), np.array([False, False, True, True])):
        coverage, risk = risk_coverage(sure, right)
        assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
        assert risk.tolist() == [0.0, 0.25, pytest.approx(1 / 3), 0.5]
        assert area_under_risk_coverage(sure, right) == pytest.approx(risk.mean())


def test_no_case_gives_no_figure() -> None:
    none, nothing = np.array([]), np.array([], np.bool_)
    assert np.isnan([calibration_error(none, nothing), area_under_risk_coverage(none, nothing)]).all()
