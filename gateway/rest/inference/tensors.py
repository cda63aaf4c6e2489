"""Inferences between the protocol's JSON, with or without binary tensors behind it, and the service's requests. Pure."""

from itertools import chain
from typing import Any

import msgspec

from gateway.service.inference.arrays import (
    BYTES,
    Array,
    Content,
    check_shape,
    from_base64,
    from_values,
    invalid,
    pack,
    to_base64,
    to_values,
)
from gateway.service.inference.requests import BASE64, CONTENT_TYPE, InferRequest, InferResponse, Output, Wanted

SIZE = "binary_data_size"
_REGION = "shared_memory_region"


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[Any]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


_decoder = msgspec.json.Decoder(_Request)


def from_body(model: str, version: str, body: bytes, json_bytes: int | None) -> InferRequest:
    """A request. `json_bytes`: how much of the body is JSON; None: all of it. Raises INVALID_ARGUMENT."""
    view = memoryview(body)
    end = len(view) if json_bytes is None else json_bytes
    if end > len(view):
        raise invalid(f"the body has {len(view)} bytes, fewer than its JSON is said to have")
    try:
        request = _decoder.decode(view[:end])
    except msgspec.MsgspecError as error:
        raise invalid(f"the body is no inference request: {error}") from error
    except RecursionError as error:
        raise invalid("the body is no inference request: it is nested too deeply") from error
    rest, inputs = view[end:], []
    for given in request.inputs:
        tensor, rest = _tensor(given, rest, has_rest=json_bytes is not None)
        inputs.append(tensor)
    if rest:
        raise invalid(f"the body has {len(rest)} bytes more than its tensors")
    outputs = [Wanted(one.name, one.parameters) for one in request.outputs]
    return InferRequest(model, version, request.id, request.parameters, inputs, outputs)


def to_body(response: InferResponse, request: InferRequest) -> tuple[bytes, int | None]:
    """An answer's body, and how much of it is JSON where there are binary tensors behind it."""
    by_default = request.parameters.get("binary_data_output") is True
    rows, behind = [], []
    for output in response.outputs:
        binary = output.wanted.parameters.get("binary_data", by_default) is True
        rows.append(_row(output, binary=binary))
        if binary:
            behind.append(output.content)
    document = {"model_name": response.model, "model_version": response.version, "outputs": rows}
    if response.id:
        document["id"] = response.id
    json = msgspec.json.encode(document)
    return (b"".join([json, *behind]), len(json)) if behind else (json, None)


def _tensor(given: _Input, rest: memoryview, *, has_rest: bool) -> tuple[Array, memoryview]:
    """The tensor, and what is behind it."""
    name, size = given.name, given.parameters.get(SIZE)
    shape = check_shape(name, given.shape)
    content: Content
    if size is not None:
        if not has_rest or type(size) is not int or not 0 <= size <= len(rest):
            raise invalid(f"input {name!r} says that it has {SIZE} {size!r}, but {len(rest)} bytes of binary tensors are left", SIZE)
        content, rest = rest[:size], rest[size:]
    elif _REGION in given.parameters:
        content = b""
    elif given.data is None:
        raise invalid(f"input {name!r} has neither data nor {SIZE}", name)
    else:
        content = _from_json(given, _flat(name, given.data))
    parameters = given.parameters
    if given.data is not None and parameters.get(CONTENT_TYPE) == BASE64:  # it has been decoded here
        parameters = {key: value for key, value in parameters.items() if key != CONTENT_TYPE}
    return Array(name, given.datatype, shape, content, parameters), rest


def _flat(name: str, data: list[Any]) -> list[Any]:
    """Nested lists as one, the last axis running fastest."""
    try:
        while data and isinstance(data[0], list):
            data = list(chain.from_iterable(data))
    except TypeError as error:
        raise invalid(f"input {name!r}: its data are nested unevenly", name) from error
    return data


def _from_json(given: _Input, values: list[Any]) -> bytes:
    if given.datatype != BYTES:
        return from_values(given.name, given.datatype, values)
    if not all(isinstance(value, str) for value in values):
        raise invalid(f"input {given.name!r}: bytes in JSON are strings of base64", given.name)
    return pack([from_base64(given.name, value) for value in values])


def _row(output: Output, *, binary: bool) -> dict[str, Any]:
    array = output.array
    row: dict[str, Any] = {"name": array.name, "datatype": array.datatype, "shape": array.shape}
    parameters = output.parameters
    if output.place is None and binary:
        parameters = {SIZE: len(array.content)}
    elif output.place is None:
        row["data"] = to_values(array)
        if array.parameters.get(CONTENT_TYPE) == BASE64:
            row["data"] = [to_base64(element) for element in row["data"]]
            parameters = {CONTENT_TYPE: BASE64}
        elif array.datatype == BYTES:
            row["data"] = [element.decode() for element in row["data"]]
    return {**row, "parameters": parameters} if parameters else row
