"""The rule by which a version on trial is taken out: what it does to good candidates and to bad ones."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.rollout import (
    FAILURES_ALLOWED,
    MIN_COMPARED,
    SLOWER_ALLOWED,
    WINDOW,
    Side,
    Tally,
    difference,
    side_of,
    verdict,
    wilson,
)

SHARES = st.floats(0.01, 1.0)
LABELS = st.sampled_from(["normal", "abnormal", "benign"])


def compared(outcomes: list[bool], *, times_ms: tuple[float, float] | None = None) -> Tally:
    """A tally after comparisons of which each disagreed or not."""
    tally = Tally()
    for disagrees in outcomes:
        tally = tally.with_run().with_pair(disagrees=disagrees, times_ms=times_ms)
    return tally


def classification(label: str, *, abstained: bool = False) -> dict[str, Any]:
    rows = [{"label": name, "probability": 0.9 if name == label else 0.1} for name in ("normal", "abnormal")]
    return {"kind": "classification", "label": label, "abstained": abstained, "probabilities": rows}


def segmentation(shares: dict[str, float], *, abstained: bool = False) -> dict[str, Any]:
    rows = [{"index": 0, "label": label, "area_px": 1, "area_fraction": share} for label, share in shares.items()]
    return {"kind": "segmentation", "abstained": abstained, "classes": rows}


@given(st.lists(st.just(False), max_size=3 * WINDOW), SHARES)
def test_a_candidate_that_agrees_and_is_as_fast_stays_for_ever(outcomes: list[bool], allowed: float) -> None:
    assert verdict(compared(outcomes, times_ms=(10.0, 10.0)), allowed=allowed) == ""


@given(st.lists(st.booleans(), max_size=200))
def test_one_broken_worker_is_enough_whatever_went_well(outcomes: list[bool]) -> None:
    assert "broke or hung a worker" in verdict(compared(outcomes).with_run(broke_worker=True))


@given(st.lists(st.booleans(), max_size=400))
def test_failures_count_only_among_the_last_runs(outcomes: list[bool]) -> None:
    tally = Tally()
    for failed in outcomes:
        tally = tally.with_run(failed=failed)
    recent = sum(outcomes[-WINDOW:])
    assert (verdict(tally) != "") == (recent >= FAILURES_ALLOWED)
    if recent >= FAILURES_ALLOWED:
        assert f"{recent} of its last {min(WINDOW, len(outcomes))} runs failed" in verdict(tally)
    assert (tally.runs, tally.failed) == (len(outcomes), sum(outcomes))


@given(st.integers(1, MIN_COMPARED - 1), SHARES)
def test_nothing_is_concluded_from_few_comparisons(count: int, allowed: float) -> None:
    assert verdict(compared([True] * count, times_ms=(1.0, 1000.0)), allowed=allowed) == ""


@given(st.lists(st.booleans(), min_size=MIN_COMPARED, max_size=300), SHARES)
def test_a_candidate_is_out_when_it_surely_disagrees_more_than_allowed(outcomes: list[bool], allowed: float) -> None:
    low, high = wilson(sum(outcomes), len(outcomes))
    assert (verdict(compared(outcomes), allowed=allowed) != "") == (low > allowed)
    if sum(outcomes) / len(outcomes) <= allowed:
        assert verdict(compared(outcomes), allowed=allowed) == "", "what was seen lies within what is allowed"
    assert low <= sum(outcomes) / len(outcomes) <= high


@given(st.lists(st.booleans(), max_size=150), st.integers(0, 150), SHARES)
def test_one_more_disagreement_never_helps_a_candidate(outcomes: list[bool], at: int, allowed: float) -> None:
    worse = [*outcomes]
    if at < len(worse):
        worse[at] = True
    assert verdict(compared(worse), allowed=allowed) != "" or verdict(compared(outcomes), allowed=allowed) == ""


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), max_size=3 * WINDOW))
def test_a_candidate_is_out_when_its_median_is_over_twice_that_in_service(pairs: list[tuple[float, float]]) -> None:
    tally = Tally()
    for pair in pairs:
        tally = tally.with_pair(disagrees=False, times_ms=pair)
    medians = tally.medians_ms()
    recent = pairs[-WINDOW:]
    slow = medians is not None and len(recent) >= MIN_COMPARED and medians[1] > SLOWER_ALLOWED * medians[0]
    assert (verdict(tally) != "") == slow
    if medians is not None:
        for place in (0, 1):
            assert min(pair[place] for pair in recent) <= medians[place] <= max(pair[place] for pair in recent)


def test_pairs_of_different_devices_are_compared_but_not_timed() -> None:
    tally = Tally()
    for _ in range(2 * MIN_COMPARED):
        tally = tally.with_pair(disagrees=False, times_ms=None)
    assert (tally.compared, tally.medians_ms(), verdict(tally)) == (2 * MIN_COMPARED, None, "")


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_lies_within_0_and_1_around_the_share(count: int, more: int) -> None:
    low, high = wilson(count, count + more)
    assert 0 <= low <= high <= 1
    if count + more:
        assert low <= count / (count + more) + 1e-12
        assert high >= count / (count + more) - 1e-12


def test_the_interval_is_that_of_the_textbook() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I: Wilson score without continuity correction."""
    for count, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        assert list(wilson(count, total)) == pytest.approx([low, high], abs=5e-5)


@pytest.mark.parametrize(
    ("share", "least_out", "most_out"), [(0.02, 0, 2), (0.05, 0, 5), (0.2, 198, 200), (0.5, 200, 200)]
)
def test_good_candidates_stay_and_bad_ones_go_within_300_comparisons(share: float, least_out: int, most_out: int) -> None:
    dice = random.Random(7)
    out = sum(_is_taken_out(dice, share, 300) for _ in range(200))
    assert least_out <= out <= most_out


def _is_taken_out(dice: random.Random, share: float, comparisons: int) -> bool:
    tally = Tally()
    for _ in range(comparisons):
        tally = tally.with_pair(disagrees=dice.random() < share, times_ms=None)
        if verdict(tally):
            return True
    return False


def test_classifications_disagree_in_their_leading_label_or_in_abstaining() -> None:
    normal, abnormal = side_of(classification("normal")), side_of(classification("abnormal"))
    unsure = side_of(classification("normal", abstained=True))
    assert difference(normal, normal) == ""
    assert difference(normal, abnormal) == "label"
    assert difference(normal, unsure) == "abstention"
    assert normal.values == {"normal": 0.9, "abnormal": 0.1}


@pytest.mark.parametrize("document", [classification("normal"), segmentation({"soil": 0.9, "weed": 0.1})], ids=lambda one: one["kind"])
def test_a_version_that_refuses_a_picture_as_foreign_disagrees_with_every_answer_to_it(document: dict[str, Any]) -> None:
    unsure = side_of({**document, "abstained": True, "abstention": {"code": "low_confidence", "reason": "?"}})
    refused = side_of({**document, "abstained": True, "abstention": {"code": "foreign", "reason": "?"}})
    assert difference(refused, refused) == ""
    for other in (side_of(document), unsure):
        assert difference(refused, other) == difference(other, refused) == "abstention"


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"soil": 0.75, "crop": 0.18, "weed": 0.07}, {"soil": 0.74, "crop": 0.2, "weed": 0.06}, ""),
        ({"soil": 0.75, "crop": 0.18, "weed": 0.07}, {"soil": 0.79, "crop": 0.18, "weed": 0.03}, "area"),
        ({"soil": 0.75, "crop": 0.25}, {"soil": 0.69, "crop": 0.31}, "area"),
        ({"soil": 0.995, "weed": 0.005}, {"soil": 0.999, "weed": 0.001}, ""),
        ({"soil": 0.9, "weed": 0.1}, {"soil": 0.9, "beet": 0.1}, "area"),
        ({}, {}, ""),
    ],
)
def test_segmentations_disagree_in_the_areas_of_their_classes(
    one: dict[str, float], other: dict[str, float], found: str
) -> None:
    assert difference(side_of(segmentation(one)), side_of(segmentation(other))) == found
    assert difference(side_of(segmentation(other)), side_of(segmentation(one))) == found
    assert difference(side_of(segmentation(one)), side_of(segmentation(one, abstained=True))) == "abstention"


@given(LABELS, LABELS, st.booleans(), st.booleans())
def test_a_disagreement_is_one_whichever_answer_came_first(one: str, other: str, first: bool, second: bool) -> None:
    sides = Side(one, first, {one: 1.0}), Side(other, second, {other: 1.0})
    assert difference(*sides) == difference(*sides[::-1])
    assert (difference(*sides) == "") == (one == other and first == second)
