"""Which operator of one graph is which of the other, through all that a converter changes."""

from pathlib import Path

from domains import registry
from edge_runtime.toolchain.parity.align import Alignment, Graph, align
from edge_runtime.toolchain.tflite import Model, read_model
from tests.edge_runtime.toolchain.parity.damage import damaged, renamed
from tests.edge_runtime.toolchain.parity.graphs import Sketch

BREAST = registry.models_folder("pathology") / "breast_ultrasound"


def matched(a: Model, b: Model) -> Alignment:
    return align(Graph(a), Graph(b))


def numbers(found: Alignment) -> list[tuple[int, int]]:
    return [(pair.reference, pair.other) for pair in found.pairs]


def test_float_and_int8_of_a_shipped_model_are_matched_operator_by_operator() -> None:
    reference = read_model(BREAST / "float32.tflite")
    found = matched(reference, read_model(BREAST / "int8.tflite"))
    assert numbers(found) == [(number, number) for number in range(len(reference.ops))]
    assert not found.unmatched_reference
    assert not found.unmatched_other


def test_they_are_matched_without_any_names_too(tmp_path: Path) -> None:
    bare = damaged(BREAST / "int8.tflite", tmp_path / "bare.tflite", 0, renamed)
    reference = read_model(BREAST / "float32.tflite")
    found = matched(reference, read_model(bare))
    assert numbers(found) == [(number, number) for number in range(len(reference.ops))]
    assert {pair.how for pair in found.pairs} == {"inputs"}


def test_changes_of_type_are_looked_through() -> None:
    plain, quantised = Sketch(), Sketch("int8")
    x = plain.tensor("x")
    a = plain.model(x, plain.conv(plain.conv(x)))
    x = quantised.tensor("x", dtype="float32")
    inner = quantised.conv(quantised.conv(quantised.op("QUANTIZE", x, name="q"), name="c0"), name="c1")
    b = quantised.model(x, quantised.op("DEQUANTIZE", inner, name="out", dtype="float32"))
    found = matched(a, b)
    assert numbers(found) == [(0, 1), (1, 2)]
    assert {pair.how for pair in found.pairs} == {"inputs"}


def test_branches_in_another_order_are_told_apart_by_their_kernels() -> None:
    first, second = Sketch(), Sketch()
    x = first.tensor("x")
    a = first.model(x, first.op("ADD", first.conv(x, kernel=1, name="a1"), first.conv(x, kernel=5, name="a2"), fused=0))
    y = second.tensor("y")
    b = second.model(y, second.op("ADD", second.conv(y, kernel=5, name="b1"), second.conv(y, kernel=1, name="b2"), fused=0, name="s"))
    assert numbers(matched(a, b)) == [(0, 1), (1, 0), (2, 2)]


def test_a_fused_activation_is_the_same_as_one_of_its_own() -> None:
    fused, apart = Sketch(), Sketch()
    x = fused.tensor("x")
    a = fused.model(x, fused.conv(x, fused=3, name="a"))
    y = apart.tensor("y")
    b = apart.model(y, apart.op("RELU6", apart.conv(y, name="b"), name="c"))
    found = matched(a, b)
    assert numbers(found) == [(0, 1)]
    assert found.unmatched_other == (0,)


def test_what_follows_an_operator_that_only_one_has_is_found_again() -> None:
    first, second = Sketch(), Sketch()
    x = first.tensor("x")
    a = first.model(x, first.op("SOFTMAX", first.conv(first.conv(x, kernel=1)), name="a"))
    y = second.tensor("y")
    other = second.op("LEAKY_RELU", second.conv(y, kernel=1, name="b0"), name="b1")
    b = second.model(y, second.op("SOFTMAX", second.conv(other, name="b2"), name="b3"))
    found = matched(a, b)
    assert numbers(found) == [(0, 0), (1, 2), (2, 3)]
    assert [pair.how for pair in found.pairs] == ["inputs", "order", "order"]
    assert found.unmatched_other == (1,)


def test_a_match_by_order_is_dropped_when_its_inputs_turn_out_to_be_others() -> None:
    first, second = Sketch(), Sketch()
    x = first.tensor("x")
    p = first.op("MEAN", first.op("FLOOR", x, name="a0"), name="a1")
    tail = first.op("EXP", first.op("NEG", first.op("ABS", p, name="a2"), name="a3"), name="a4")
    a = first.model(x, tail, first.op("SQRT", p, name="a5"))
    y = second.tensor("y")
    p = second.op("MEAN", second.op("CEIL", y, name="b0"), name="b1")
    tail = second.op("EXP", second.op("NEG", second.op("SQRT", p, name="b2"), name="b3"), name="b4")
    b = second.model(y, tail, second.op("ABS", p, name="b5"))
    found = matched(a, b)
    assert (3, 3) not in numbers(found), "one negates what ABS gives, the other what SQRT gives"
    assert {(1, 1), (2, 5), (5, 2)} <= set(numbers(found))


def test_one_name_for_two_values_matches_neither_by_it() -> None:
    first, second = Sketch(), Sketch()
    x = first.tensor("x")
    a = first.model(x, first.op("NEG", first.op("EXP", x, name="same"), name="same"))
    y = second.tensor("y")
    b = second.model(y, second.op("NEG", second.op("EXP", y, name="same"), name="other"))
    found = matched(a, b)
    assert numbers(found) == [(0, 0), (1, 1)]
    assert {pair.how for pair in found.pairs} == {"inputs"}
