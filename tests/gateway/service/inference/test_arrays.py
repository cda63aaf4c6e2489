"""Tensors in the protocol's binary form, and what is said of those that aren't."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import (
    Array,
    Signature,
    check,
    check_shape,
    from_base64,
    from_values,
    pack,
    to_values,
    top,
    unpack,
)

PIXELS = Signature("pixels", "UINT8", (1, 2, 2, 3))
IMAGE = Signature("image", "BYTES", (1,))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_bytes_come_out_of_their_binary_form_as_they_went_in(elements: list[bytes]) -> None:
    assert [bytes(one) for one in unpack(Array("x", "BYTES", (len(elements),), pack(elements)))] == elements


@given(st.binary(max_size=60), st.integers(0, 4))
def test_any_bytes_at_all_are_elements_or_refused(content: bytes, count: int) -> None:
    try:
        found = unpack(Array("x", "BYTES", (count,), content))
    except ServiceError as error:
        assert error.code is ErrorCode.INVALID_ARGUMENT  # noqa: PT017 - either may happen
    else:
        assert pack(found) == content


@pytest.mark.parametrize(("datatype", "values", "expected"), [
    ("BOOL", [True, False], b"\1\0"),
    ("UINT8", [0, 255], b"\0\xff"),
    ("INT16", [-2], struct.pack("<h", -2)),
    ("INT64", [2**40], struct.pack("<q", 2**40)),
    ("FP16", [1.5], struct.pack("<e", 1.5)),
    ("FP32", [1.5, -3], struct.pack("<2f", 1.5, -3)),
    ("FP64", [0.1], struct.pack("<d", 0.1)),
])
def test_numbers_are_little_endian_one_behind_the_other(datatype: str, values: list[float], expected: bytes) -> None:
    assert from_values("x", datatype, values) == expected
    if datatype != "FP16":
        assert to_values(Array("x", datatype, (len(values),), expected)) == values


@pytest.mark.parametrize(("datatype", "values"), [
    ("UINT8", [256]), ("UINT8", [-1]), ("UINT8", [1.5]), ("UINT8", ["a"]), ("BOOL", [1]), ("FP32", [None]), ("FP32", [[1]]),
    ("BF16", [1.0]), ("COMPLEX", [1]), ("INT8", [2**80]),
])
def test_what_a_datatype_cant_hold_is_refused(datatype: str, values: list[object]) -> None:
    with pytest.raises(ServiceError) as refused:
        from_values("x", datatype, values)
    assert (refused.value.code, refused.value.parameter) == (ErrorCode.INVALID_ARGUMENT, "x")


@pytest.mark.parametrize(("given", "words"), [
    (Array("pixels", "FP32", (1, 2, 2, 3), bytes(48)), "is of the datatype 'FP32', the model takes UINT8"),
    (Array("pixels", "UINT8", (2, 2, 3), bytes(12)), "has the shape [2, 2, 3], the model takes [1, 2, 2, 3]"),
    (Array("pixels", "UINT8", (1, 2, 2, 3), bytes(11)), "holds 11 bytes, UINT8 of the shape [1, 2, 2, 3] are 12"),
])
def test_a_tensor_that_isnt_the_models_is_told_what_would_be(given: Array, words: str) -> None:
    with pytest.raises(ServiceError, match="input 'pixels'") as refused:
        check(given, PIXELS)
    assert words in str(refused.value)


def test_the_models_own_tensors_are_taken() -> None:
    check(Array("pixels", "UINT8", (1, 2, 2, 3), bytes(12)), PIXELS)
    check(Array("image", "BYTES", (1,), pack([b"picture"])), IMAGE)
    check(Array("x", "FP32", (7,), bytes(28)), Signature("x", "FP32", (-1,)))
    with pytest.raises(ServiceError, match="holds 2 elements"):
        check(Array("image", "BYTES", (1,), pack([b"a", b"b"])), IMAGE)


@pytest.mark.parametrize("shape", [[-1], [1.5], ["1"], [True], [None], [[1]], [1] * 9])
def test_a_shape_is_a_short_list_of_lengths(shape: list[object]) -> None:
    with pytest.raises(ServiceError, match="is no list of up to 8 lengths"):
        check_shape("x", shape)


def test_what_is_no_base64_is_refused() -> None:
    assert from_base64("x", "cGljdHVyZQ==") == b"picture"
    with pytest.raises(ServiceError, match="is no base64"):
        from_base64("x", "a picture")


def test_the_highest_values_are_ranked_with_their_labels() -> None:
    scores = Array("scores", "FP32", (1, 3), from_values("scores", "FP32", [0.25, -1.0, 4.5]))
    ranked = top(scores, 2, ["a", "b", "c"])
    assert (ranked.datatype, ranked.shape, to_values(ranked)) == ("BYTES", (1, 2), [b"4.500000:2:c", b"0.250000:0:a"])
    assert to_values(top(scores, 9, ["a"])) == [b"4.500000:2", b"0.250000:0", b"-1.000000:1"]
    with pytest.raises(ServiceError, match="holds no numbers"):
        top(ranked, 1, [])
    assert math.isnan(to_values(Array("x", "FP32", (1,), from_values("x", "FP32", [math.nan])))[0])
