"""What outputs and results say, and how far two of them differ."""

from dataclasses import replace

import numpy as np
import pytest

from domains.core import Abstention, Box, Classification, Result, Segmentation
from edge_runtime.toolchain.interpret import End
from edge_runtime.toolchain.parity.answers import Decided, decide, decided_by_domain, differ, question_of

MAP = End("map", 0, "float32", (1, 2, 2, 3), 0.0, 0)
LIST = End("list", 1, "int8", (1, 3), 0.1, 0)
NUMBERS = End("numbers", 2, "int64", (1, 2, 2), 0.0, 0)
SINGLE = End("single", 3, "float32", (1, 1), 0.0, 0)
FAMILIARITY = End("familiarity", 5, "int8", (1, 48), 0.1, 0)
VECTOR = End("vector", 4, "float32", (4, 7), 0.0, 0)
LABELS = ("a", "b", "c")


def decided(ends: list[End], values: object, labels: tuple[str, ...] = LABELS) -> Decided:
    question = question_of(ends, labels)
    return decide(question, {question.output: np.asarray(values, np.float32)})


@pytest.mark.parametrize(("ends", "output", "kind", "labels"), [
    ([MAP, LIST], "list", "label", LABELS),
    ([SINGLE, MAP], "map", "map", LABELS),
    ([VECTOR, NUMBERS], "numbers", "map", tuple(map(str, range(256)))),
    ([FAMILIARITY, LIST], "list", "label", LABELS),
    ([FAMILIARITY, MAP], "map", "map", LABELS),
    ([SINGLE], "single", "label", ("0", "1")),
    ([VECTOR], "vector", "value", ()),
])
def test_the_output_that_decides_is_found(ends: list[End], output: str, kind: str, labels: tuple[str, ...]) -> None:
    found = question_of(ends, LABELS)
    assert (found.output, found.kind, found.labels) == (output, kind, labels)


def test_probabilities_are_taken_as_they_are_and_logits_by_their_softmax() -> None:
    given, logits = decided([LIST], [[0.7, 0.2, 0.1]]), decided([LIST], [[2.0, 0.0, 0.0]])
    assert given.answer.label == "a"
    assert given.answer.margin == pytest.approx(0.5)
    share = np.exp(2) / (np.exp(2) + 2)
    assert logits.answer.margin == pytest.approx(share - (1 - share) / 2)


def test_a_single_number_is_a_yes_or_no() -> None:
    assert decided([SINGLE], [[0.9]], ()).answer.label == "yes"
    assert decided([SINGLE], [[0.2]], ()).answer.label == "no"
    assert decided([SINGLE], [[3.0]], ()).answer.margin == pytest.approx(np.tanh(1.5))


def test_a_map_is_told_by_the_shares_of_its_labels() -> None:
    found = decided([MAP], [[[[5, 0, 0], [5, 0, 0]], [[5, 0, 0], [0, 0, 5]]]])
    assert found.answer.label == "a 75.0%, c 25.0%"
    assert decided([NUMBERS], [[[7, 7], [7, 2]]]).answer.label == "7 75.0%, 2 25.0%"


def test_labels_are_compared_and_their_probabilities() -> None:
    one, two = decided([LIST], [[0.7, 0.2, 0.1]]), decided([LIST], [[0.3, 0.6, 0.1]])
    found = differ(one, two, 3)
    assert found.confusion.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert [found.agree, found.distance] == pytest.approx([0, 0.4])


def test_maps_are_compared_pixel_by_pixel() -> None:
    one, two = decided([NUMBERS], [[[0, 1], [1, 2]]]), decided([NUMBERS], [[[0, 1], [2, 2]]])
    found = differ(one, two, 256)
    assert (found.agree, found.distance) == (0.75, 0.25)
    assert found.confusion[1, 2] == 1


def test_without_a_decision_only_the_very_same_values_agree() -> None:
    one, two = decided([VECTOR], np.ones((4, 7))), decided([VECTOR], np.full((4, 7), 1.5))
    assert differ(one, one, 0).agree == 1
    assert [differ(one, two, 0).agree, differ(one, two, 0).distance] == pytest.approx([0, 0.5])


def test_a_domains_answer_differs_in_its_abstention_and_its_set_too() -> None:
    sure = Classification(("a", "b"), (0.8, 0.2), Box(0, 0, 4, 4), prediction_set=("a",))
    unsure = Classification(("a", "b"), (0.6, 0.4), Box(0, 0, 4, 4), prediction_set=("b", "a"), abstention=Abstention("low", "Low."))
    one, two = decided_by_domain(sure), decided_by_domain(unsure)
    assert two.answer.words == "no verdict, set {b, a}"
    found = differ(one, two, 2)
    assert found.parts == ("abstention", "prediction set")
    assert [found.agree, found.distance] == pytest.approx([1, 0.2])


@pytest.mark.parametrize("answered", [
    Classification(("a", "b"), (0.8, 0.2), Box(0, 0, 4, 4), prediction_set=("a",)),
    Segmentation(("a", "b"), np.zeros((2, 2), np.uint8)),
], ids=["classification", "segmentation"])
def test_a_picture_that_one_side_refuses_is_told_so_and_counts_as_a_different_decision(answered: Result) -> None:
    stranger = Abstention("foreign", "Not that.")
    if isinstance(answered, Classification):
        refused: Result = Classification(answered.labels, (), answered.region, abstention=stranger)
    else:
        refused = replace(answered, abstention=stranger)
    one, two = decided_by_domain(answered), decided_by_domain(refused)
    assert two.answer.label == "refused as foreign"
    for found in (differ(one, two, 2), differ(two, one, 2)):
        assert (found.agree, found.distance, found.parts) == (0, 1, ("abstention", "gate"))
        assert not found.confusion.any()
    assert differ(two, two, 2).agree == 1


def test_a_segmentation_is_compared_by_pixels_and_by_objects() -> None:
    one = decided_by_domain(Segmentation(("soil", "weed"), np.array([[0, 1], [1, 1]], np.uint8)))
    two = decided_by_domain(Segmentation(("soil", "weed"), np.array([[0, 0], [1, 1]], np.uint8), abstention=Abstention("low", "Low.")))
    assert one.answer.label == "weed 75.0%, soil 25.0%"
    assert one.answer.words == "objects: 0 weed"
    found = differ(one, two, 2)
    assert (found.parts, found.agree) == (("abstention",), 0.75)
