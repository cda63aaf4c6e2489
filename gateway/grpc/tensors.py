"""Inferences between the protocol's messages and the service's requests."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from gateway.service.inference.arrays import Array, check_shape, from_values, invalid
from gateway.service.inference.requests import InferRequest, InferResponse, Wanted
from protos.inference import grpc_service_pb2 as pb

_REGION = "shared_memory_region"
_FIELDS: Mapping[str, str] = {
    "BOOL": "bool_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}
"""Where the elements of a datatype stand; the others have only the raw form."""


def from_proto(message: pb.ModelInferRequest) -> InferRequest:
    """A request. Raises INVALID_ARGUMENT where its tensors aren't there, or are there twice."""
    here = [tensor for tensor in message.inputs if _REGION not in tensor.parameters]
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(here):
        raise invalid(f"raw_input_contents has {len(raw)} tensors, {len(here)} inputs need one", "raw_input_contents")
    contents = iter(raw)
    inputs = []
    for tensor in message.inputs:
        if tensor.HasField("contents") and (raw or _REGION in tensor.parameters):
            raise invalid(f"input {tensor.name!r} has contents beside those given in another way", tensor.name)
        content = b"" if _REGION in tensor.parameters else next(contents) if raw else _typed(tensor)
        inputs.append(Array(
            tensor.name, tensor.datatype, check_shape(tensor.name, tensor.shape), content, parameters_of(tensor.parameters)
        ))
    outputs = [Wanted(output.name, parameters_of(output.parameters)) for output in message.outputs]
    return InferRequest(
        message.model_name, message.model_version, message.id, parameters_of(message.parameters), inputs, outputs
    )


def to_proto(response: InferResponse) -> pb.ModelInferResponse:
    """The answer, its tensors raw. One that lies in shared memory has an empty place among them, as Triton has it."""
    message = pb.ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    for output in response.outputs:
        array = output.array
        described = message.outputs.add(name=array.name, datatype=array.datatype, shape=array.shape)
        for name, value in output.parameters.items():
            setattr(described.parameters[name], "string_param" if isinstance(value, str) else "int64_param", value)
        message.raw_output_contents.append(bytes(output.content))
    return message


def parameters_of(given: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    """Parameters by name."""
    return {name: value_of(parameter) for name, parameter in given.items()}


def value_of(parameter: Message) -> Any:
    """The one that was chosen; None where none was."""
    chosen = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, chosen) if chosen else None


def _typed(tensor: pb.ModelInferRequest.InferInputTensor) -> bytes:
    field = _FIELDS.get(tensor.datatype)
    if field is None:
        raise invalid(f"input {tensor.name!r}: the datatype {tensor.datatype[:16]!r} has no typed contents", tensor.name)
    return from_values(tensor.name, tensor.datatype, getattr(tensor.contents, field))
