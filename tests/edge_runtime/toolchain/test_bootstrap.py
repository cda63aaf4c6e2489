"""Confidence intervals of model cards."""

from collections.abc import Sequence

import numpy as np
import pytest

from edge_runtime.toolchain.bootstrap import with_intervals


def mean(scores: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(scores))}


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    scores = list(np.random.default_rng(0).normal(5, 2, 400))
    found = with_intervals(scores, [str(i) for i in range(400)], mean)["mean"]
    half = 1.96 * 2 / 20
    assert found["low"] == pytest.approx(found["value"] - half, abs=0.05)
    assert found["high"] == pytest.approx(found["value"] + half, abs=0.05)


def test_frames_of_the_same_patient_do_not_make_the_interval_narrower() -> None:
    patients = list(np.random.default_rng(0).normal(5, 2, 20))
    alone = with_intervals(patients, [str(i) for i in range(20)], mean)["mean"]
    repeated = with_intervals(patients * 10, [str(i) for i in range(20)] * 10, mean)["mean"]
    assert repeated["high"] - repeated["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.15)


def test_the_same_scores_give_the_same_interval() -> None:
    scores, groups = [0.0, 1.0, 1.0], ["a", "b", "c"]
    assert with_intervals(scores, groups, mean) == with_intervals(scores, groups, mean)


def test_a_figure_that_some_resamples_cannot_give_is_taken_from_the_others() -> None:
    def of_positives(scores: Sequence[float]) -> dict[str, float]:
        positive = [score for score in scores if score > 0]
        return {"positives": float(np.mean(positive)) if positive else float("nan"), "never": float("nan")}

    found = with_intervals([0.0, 0.0, 0.0, 1.0], ["a", "b", "c", "d"], of_positives)
    assert found == {"positives": {"value": 1.0, "low": 1.0, "high": 1.0}}


def test_scores_without_a_group_each_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores but 1 groups"):
        with_intervals([1.0, 2.0], ["a"], mean)
