"""Bodies of inferences: what is meant is found in each form, and nothing that is sent does more than be refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.inference.tensors import from_body, to_body
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.arrays import Array, from_values, pack
from gateway.service.inference.requests import InferRequest, InferResponse, Output, Wanted

PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2]}


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def request(sent: bytes, json_bytes: int | None = None) -> InferRequest:
    return from_body("scans", "", sent, json_bytes)


@pytest.mark.parametrize("data", [[7, 9], [[7, 9]], [[7], [9]], [[[7, 9]]]])
def test_lists_flat_or_nested_are_the_same_tensor(data: list[Any]) -> None:
    (tensor,) = request(body({**PIXELS, "data": data})).inputs
    assert (tensor.shape, bytes(tensor.content)) == ((1, 2), b"\7\11")


def test_bytes_in_json_are_base64() -> None:
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["cGljdHVyZQ=="]}
    for parameters in ({}, {"content_type": "base64"}):
        (tensor,) = request(body({**image, "parameters": parameters})).inputs
        assert (tensor.content, tensor.parameters) == (pack([b"picture"]), {})


def test_binary_tensors_follow_the_json_in_their_order() -> None:
    head = body(
        {**PIXELS, "parameters": {"binary_data_size": 2}},
        {"name": "words", "datatype": "UINT8", "shape": [1], "data": [5]},
        {"name": "more", "datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 3}},
    )
    found = request(head + b"\1\2\3\4\5", len(head))
    assert [bytes(tensor.content) for tensor in found.inputs] == [b"\1\2", b"\5", b"\3\4\5"]


@pytest.mark.parametrize(("tensor", "behind", "header"), [
    ({"parameters": {"binary_data_size": 2}}, b"\1\2", False),
    ({"parameters": {"binary_data_size": 3}}, b"\1\2", True),
    ({"parameters": {"binary_data_size": 1}}, b"\1\2", True),
    ({"parameters": {"binary_data_size": -1}}, b"", True),
    ({"parameters": {"binary_data_size": "2"}}, b"\1\2", True),
    ({"parameters": {"binary_data_size": True}}, b"\1", True),
    ({}, b"", False),
    ({"data": [1, 2]}, b"\1", True),
    ({"data": [[1], 2]}, b"", False),
    ({"data": ["a", "b"]}, b"", False),
    ({"data": 3}, b"", False),
])
def test_sizes_that_dont_agree_are_refused(tensor: dict[str, Any], behind: bytes, header: bool) -> None:
    head = body({**PIXELS, **tensor})
    with pytest.raises(ServiceError) as refused:
        request(head + behind, len(head) if header else None)
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT


@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(0, 300)))
def test_any_bytes_at_all_are_a_request_or_refused(sent: bytes, json_bytes: int | None) -> None:
    try:
        request(sent, json_bytes)
    except ServiceError as error:
        assert error.code is ErrorCode.INVALID_ARGUMENT  # noqa: PT017 - either may happen


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda part: st.lists(part, max_size=4), max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries(
    {"name": st.text(max_size=5), "datatype": st.sampled_from(["BOOL", "UINT8", "INT64", "FP16", "FP32", "BYTES", "BF16", "?"]),
     "shape": st.lists(JSON, max_size=3)},
    optional={"data": JSON, "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "content_type"]), JSON)},
), max_size=3), st.binary(max_size=20), st.booleans())
def test_any_tensors_at_all_are_a_request_or_refused(inputs: list[dict[str, Any]], behind: bytes, header: bool) -> None:
    head = body(*inputs)
    try:
        request(head + behind, len(head) if header else None)
    except ServiceError as error:
        assert error.code is ErrorCode.INVALID_ARGUMENT  # noqa: PT017 - either may happen


def test_outputs_are_sent_in_the_form_that_each_was_asked_for() -> None:
    scores = Array("scores", "FP32", (2,), from_values("scores", "FP32", [0.5, 1.5]))
    label = Array("label", "BYTES", (1,), pack(["löss".encode()]))
    mask = Array("mask", "BYTES", (1,), pack([b"\x89PNG"]), {"content_type": "base64"})
    asked = InferRequest("scans", parameters={"binary_data_output": True})
    outputs = [Output(scores, Wanted("scores")), Output(label, Wanted("label", {"binary_data": False})),
               Output(mask, Wanted("mask", {"binary_data": False}))]
    sent, json_bytes = to_body(InferResponse("scans", "1", "mine", outputs), asked)
    assert json_bytes is not None
    assert sent[json_bytes:] == scores.content
    assert json.loads(sent[:json_bytes]) == {"model_name": "scans", "model_version": "1", "id": "mine", "outputs": [
        {"name": "scores", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["löss"]},
        {"name": "mask", "datatype": "BYTES", "shape": [1], "data": ["iVBORw=="], "parameters": {"content_type": "base64"}},
    ]}
    sent, json_bytes = to_body(InferResponse("scans", "1", "", outputs[1:2]), InferRequest("scans"))
    assert (json_bytes, "id" in json.loads(sent)) == (None, False)
