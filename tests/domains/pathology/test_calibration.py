"""Calibration and scoring: the arithmetic behind thresholds and model cards."""

import numpy as np
import pytest
from numpy.typing import NDArray

from domains.core import Abstention, Box, Classification
from domains.core.calibration import (
    abstention_threshold,
    calibrate,
    conformal_threshold,
    offsets_of,
    softmax,
    temperature_of,
)
from domains.pathology.training.scoring import Truth, auc, figures, score

LABELS = ("a", "b")


def draw(count: int, sharpness: float, seed: int = 3) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits whose true temperature is `sharpness`, and labels drawn from them."""
    random = np.random.default_rng(seed)
    honest = random.normal(0, 1.5, (count, 3))
    truth = np.array([random.choice(3, p=row) for row in softmax(honest)])
    return honest * sharpness, truth


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_logits_is_found(sharpness: float) -> None:
    assert temperature_of(*draw(4000, sharpness)) == pytest.approx(sharpness, rel=0.1)


@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_a_label_of_which_the_network_is_too_shy_is_made_up_for_whatever_the_temperature(sharpness: float) -> None:
    logits, truth = draw(4000, sharpness)
    shy = logits + np.array([0.0, 0.0, -1.5 * sharpness])
    found = offsets_of(shy, truth)
    assert found.sum() == pytest.approx(0, abs=1e-9)
    assert found / sharpness == pytest.approx([-0.5, -0.5, 1.0], abs=0.15)


def test_a_label_counts_the_same_however_rare_it_is() -> None:
    logits, truth = draw(4000, 1.0)
    rare = (truth != 2) | (np.arange(4000) % 10 == 0)
    assert offsets_of(logits[rare], truth[rare]) == pytest.approx([0, 0, 0], abs=0.2)


def test_few_cases_move_a_label_little() -> None:
    logits, truth = draw(4000, 1.0)
    shy = logits + np.array([0.0, 0.0, -1.5])
    few = np.concatenate([np.flatnonzero(truth == label)[:2] for label in range(3)])
    assert abs(offsets_of(shy[few], truth[few])).max() < 0.5 < offsets_of(shy, truth)[2]


def test_huge_logits_give_probabilities_and_no_overflow() -> None:
    assert softmax(np.array([1e5, 0.0])).tolist() == [1.0, 0.0]


def test_prediction_sets_hold_the_truth_as_often_as_promised() -> None:
    shares, truth = softmax(draw(2000, 1.0)[0]), draw(2000, 1.0)[1]
    threshold = conformal_threshold(shares[:1000], truth[:1000], 0.9)
    covered = shares[np.arange(1000, 2000), truth[1000:]] >= threshold
    assert covered.mean() == pytest.approx(0.9, abs=0.03)


def test_too_few_cases_to_promise_anything_give_the_set_of_all_labels() -> None:
    assert conformal_threshold(np.full((5, 2), 0.5), np.zeros(5, np.int64), 0.9) == 0.0


def test_abstention_leaves_open_only_as_many_as_it_must() -> None:
    sure = np.array([0.95, 0.9, 0.85, 0.8, 0.6, 0.55])
    shares = np.stack([sure, 1 - sure], axis=1)
    truth = np.array([0, 0, 0, 0, 1, 1])
    assert abstention_threshold(shares, truth, 1.0, 0.5) == 0.8
    assert abstention_threshold(shares, truth, 0.6, 0.5) == 0.0


def test_a_hopeless_model_still_answers_most_cases() -> None:
    sure = np.linspace(0.5, 1, 100)
    threshold = abstention_threshold(np.stack([sure, 1 - sure], axis=1), np.ones(100, np.int64), 0.9, 0.35)
    assert (sure >= threshold).mean() >= 0.65


def test_calibration_gives_the_keys_that_a_manifest_needs() -> None:
    found = calibrate(*draw(300, 2.0), coverage=0.9, accuracy=0.9, most_open=0.35)
    assert set(found) == {"temperature", "abstain_below", "prediction_set_threshold", "coverage"}


def result(*shares: float, open_: bool = False, kept: tuple[str, ...] = ("a",)) -> Classification:
    reason = Abstention("low_confidence", "unsure") if open_ else None
    return Classification(LABELS, shares, Box(0, 0, 1, 1), kept, 0.9, reason)


def test_a_clip_counts_once_by_the_mean_of_its_frames() -> None:
    clip = score(Truth(0, "x"), [result(0.9, 0.1), result(0.8, 0.2), result(0.1, 0.9, open_=True)], LABELS)
    other = score(Truth(1, "x"), [result(0.2, 0.8)], LABELS)
    found = figures([clip, other], LABELS)
    assert found["accuracy"] == 1.0
    assert found["auc"] == 1.0
    assert found["answered_share"] == 1.0
    assert found["prediction_set_coverage"] == 0.5


def test_balanced_accuracy_weighs_the_rare_label_as_much_as_the_common_one() -> None:
    rows = [score(Truth(0, "x"), [result(0.9, 0.1)], LABELS)] * 9 + [score(Truth(1, "x"), [result(0.9, 0.1)], LABELS)]
    found = figures(rows, LABELS)
    assert found["accuracy"] == 0.9
    assert found["balanced_accuracy"] == 0.5


def test_the_area_under_the_curve_counts_ties_as_half() -> None:
    assert auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True])) == 0.875


def test_sources_with_enough_of_both_labels_are_also_judged_alone() -> None:
    rows = [score(Truth(label, source), [result(1 - p, p)], LABELS)
            for label, source, p in [(0, "1", 0.1), (1, "1", 0.9), (1, "2", 0.2), (0, "2", 0.8), (0, "3", 0.0)]
            for _ in range(3)]
    rows += [score(Truth(label, "4"), [result(1 - label, label)], LABELS) for label in (0, 1)]
    found = figures(rows, LABELS)
    assert found["auc_within_source_1"] == 1.0
    assert found["auc_within_source_2"] == 0.0
    assert "auc_within_source_3" not in found, "it has one label only"
    assert "auc_within_source_4" not in found, "it has too few of each"
