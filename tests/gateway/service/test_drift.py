"""Drift as a clinic sees it: real shifts show, chance doesn't, and few answers say nothing."""

import random
from collections.abc import Sequence

import pytest

from edge_runtime.training_statistics import Choices, Histogram, Observed, Statistics
from gateway.service.learning.drift import Measure, chi_squared_tail, compare, psi, two_sample, worst
from tests.gateway.service.observed_scans import TRAINED, observed, statistics_of

UNIFORM = Histogram(300, tuple(number / 10 for number in range(1, 10)), (0.1,) * 10)


def bands(found: Sequence[Measure]) -> dict[str, str]:
    """What is said of each measure."""
    return {measure.name: measure.band for measure in found}


def of_numbers(values: Sequence[float]) -> list[Observed]:
    """Answers to pictures of that brightness."""
    return [Observed({"brightness": value}, {}, {}) for value in values]


def brightness(trained: Histogram) -> Statistics:
    """Statistics of nothing else."""
    return Statistics("int8", {"brightness": trained}, {}, {})


def test_other_scans_of_the_same_hospital_are_stable() -> None:
    """Of the parts calibration and val neither inputs nor outputs were seen by what they are compared with."""
    unseen = observed("none", "calibration") + observed("none", "val")
    random.Random(3).shuffle(unseen)
    trained = statistics_of(observed("none", "train"), unseen[:60])
    inputs, outputs = compare(trained, unseen), compare(trained, unseen[60:])
    assert {measure.band for measure in inputs if measure.kind == "input"} == {"stable"}
    assert {measure.band for measure in outputs if measure.kind == "output"} == {"stable"}
    assert worst(outputs) == "stable"


def test_one_half_of_real_scans_seldom_alarms_against_the_other() -> None:
    draw = random.Random(2)
    learned, unseen = observed("none", "train"), observed("none", "calibration") + observed("none", "val")
    alarms = 0
    for _ in range(60):
        draw.shuffle(learned)
        draw.shuffle(unseen)
        trained = statistics_of(learned[:159], unseen[:58])
        inputs, outputs = compare(trained, learned[159:]), compare(trained, unseen[58:])
        found = {row.band for row in inputs if row.kind == "input"} | {row.band for row in outputs if row.kind == "output"}
        alarms += found != {"stable"}
    assert alarms <= 2


def test_darkened_scans_show_as_large() -> None:
    found = bands(compare(TRAINED, observed("darkened")))
    assert (found["brightness"], found["contrast"]) == ("large", "large")
    assert found["sharpness"] == "stable"  # dimming doesn't blur


def test_scans_of_another_organ_show_as_large_in_what_is_seen_and_what_is_said() -> None:
    found = bands(compare(TRAINED, observed("lung")))
    assert {found["brightness"], found["contrast"], found["sharpness"], found["unfamiliarity"], found["abstained"]} == {"large"}
    assert found["label"] == "too_few"  # the gate lets few pass


def test_what_a_model_says_of_pictures_that_it_learned_from_is_no_measure_of_what_it_says_of_others() -> None:
    """The reason why outputs are compared with unseen pictures."""
    learned = observed("none", "train")
    found = bands(compare(statistics_of(learned, learned), observed("none", "val")))
    assert found["unfamiliarity"] == "large"


def test_few_answers_say_nothing() -> None:
    found = compare(TRAINED, observed("lung")[:29])
    assert set(bands(found).values()) == {"too_few"}
    assert worst(found) == "too_few"
    assert {measure.psi for measure in found} == {None}
    more = bands(compare(TRAINED, observed("lung")[:49]))
    assert (more["abstained"], more["brightness"]) == ("large", "too_few")  # 2 bins, and 10


def test_answers_without_measures_count_for_what_they_have() -> None:
    """Analyses from before measures were stored."""
    found = {measure.name: measure for measure in compare(TRAINED, [
        Observed({}, one.outputs, one.choices) for one in observed("none", "calibration") + observed("none", "val")
    ])}
    assert (found["brightness"].band, found["brightness"].cases) == ("too_few", 0)
    assert (found["label"].band, found["label"].cases) == ("stable", 117)


def test_a_choice_that_training_never_gave_counts() -> None:
    trained = Statistics("int8", {}, {}, {"label": Choices(100, {"benign": 0.5, "malignant": 0.5})})
    said = [Observed({}, {}, {"label": label}) for label in ("benign", "malignant", "cyst") for _ in range(20)]
    (found,) = compare(trained, said)
    assert found.band == "large"
    assert {row.name: row.found for row in found.bins} == pytest.approx(dict.fromkeys(("benign", "malignant", "cyst"), 1 / 3))


def test_a_small_shift_of_many_answers_is_moderate_and_a_tiny_one_stable() -> None:
    draw = random.Random(5)
    trained = brightness(Histogram(5000, UNIFORM.edges, UNIFORM.shares))
    for power, band in ((1.0, "stable"), (1.1, "stable"), (1.6, "moderate"), (3.0, "large")):
        (found,) = compare(trained, of_numbers([draw.random() ** power for _ in range(3000)]))
        assert found.band == band, (power, found.psi)


def test_what_chance_gives_is_taken_off_before_a_shift_counts_as_large() -> None:
    counts = [3, 3, 3, 10, 10, 10, 10, 17, 17, 17]
    (found,) = compare(brightness(UNIFORM), of_numbers([
        number / 10 + 0.05 for number, count in enumerate(counts) for _ in range(count)
    ]))
    assert found.psi is not None
    assert found.chance is not None
    assert found.psi > 0.25 > found.psi - found.chance
    assert found.band == "moderate"


def test_chance_alone_alarms_less_than_once_in_fifty_reports_where_plain_bands_alarm_in_most() -> None:
    draw = random.Random(7)
    alarms = plain = 0
    for _ in range(400):
        (found,) = compare(brightness(UNIFORM), of_numbers([draw.random() for _ in range(50)]))
        assert found.psi is not None
        alarms += found.band != "stable"
        plain += found.psi >= 0.1
    assert alarms <= 8
    assert plain > 300


def test_the_expected_index_by_chance_is_what_chance_gives() -> None:
    draw = random.Random(11)
    found = []
    for _ in range(300):
        trained = [0.0] * 10
        for _ in range(300):
            trained[draw.randrange(10)] += 1
        histogram = Histogram(300, UNIFORM.edges, tuple(count / 300 for count in trained))
        (measure,) = compare(brightness(histogram), of_numbers([draw.random() for _ in range(100)]))
        found.append(measure)
    mean = sum(measure.psi or 0 for measure in found) / len(found)
    assert found[0].chance == pytest.approx(9 * (1 / 300 + 1 / 100))
    assert mean == pytest.approx(found[0].chance, rel=0.1)


def test_the_index_is_that_of_the_textbook() -> None:
    """(0.2 - 0.5) ln(0.2 / 0.5) + (0.8 - 0.5) ln(0.8 / 0.5) of counts so high that smoothing doesn't show."""
    assert psi([5e6, 5e6], [2e6, 8e6]) == pytest.approx(0.415888, abs=1e-5)
    assert psi([10, 0], [0, 10]) < 10  # an empty bin isn't infinitely far


@pytest.mark.parametrize(("statistic", "degrees", "tail"), [
    (3.8415, 1, 0.05), (5.9915, 2, 0.05), (7.8147, 3, 0.05), (16.9190, 9, 0.05), (23.2093, 10, 0.01), (0.003932, 1, 0.95),
    (0.0, 4, 1.0),
])
def test_chi_squared_is_that_of_the_tables(statistic: float, degrees: int, tail: float) -> None:
    assert chi_squared_tail(statistic, degrees) == pytest.approx(tail, abs=2e-4)


def test_two_samples_are_told_apart_by_their_counts() -> None:
    """Of a two by two table Pearson's statistic by hand: 100 * (30 * 40 - 20 * 10)^2 / (50 * 50 * 40 * 60) = 16.667."""
    assert two_sample([30, 20], [10, 40]) == pytest.approx(chi_squared_tail(16.6667, 1), rel=1e-3)
    assert two_sample([5, 0], [5, 0]) == 1.0
    assert two_sample([10, 20, 30], [1, 2, 3]) == pytest.approx(1.0)
