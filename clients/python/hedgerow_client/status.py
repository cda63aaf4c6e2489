"""gRPC's errors as this client's. The messages of google.rpc that carry the details are described here, in a pool of
their own, so that the client needs no further package (https://github.com/googleapis/googleapis, google/rpc).
"""

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

from hedgerow_client.errors import NOT_A_GATEWAY, HedgerowError, error_of, unreachable

DETAILS = "grpc-status-details-bin"
REQUEST_ID = "x-request-id"
_FAILED_WRITE = "Internal error from Core"
"""What grpc.aio says where a message met a connection that was over, in the place of what the other side had said."""
_TEXT = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE


def to_error(error: grpc.aio.AioRpcError, address: str) -> HedgerowError:
    """The error that a call ended with."""
    metadata = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
    info, retry_after_s = _details(metadata.get(DETAILS))
    request_id = str(metadata.get(REQUEST_ID, ""))
    if info is not None:
        return error_of(
            info.reason, error.details() or "", request_id=info.metadata.get("request_id", request_id),
            parameter=info.metadata.get("parameter", ""), retry_after_s=retry_after_s,
        )
    code, told = error.code(), error.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return error_of(code.name, f"no answer from {address} in time", request_id=request_id)
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED} or is_failed_write(error):
        return unreachable(address, "the connection was cut", maybe_processed=True)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:  # of the library itself, for a message over the server's limit
        return error_of("PAYLOAD_TOO_LARGE", told)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return HedgerowError(NOT_A_GATEWAY, f"{address} is no Hedgerow gateway that knows this call")
    return error_of("INTERNAL", f"{address} answered {code.name}", request_id=request_id)


def is_failed_write(error: grpc.aio.AioRpcError) -> bool:
    """Whether a message met a call that was over, so that what ended it isn't known."""
    return (error.details() or "").startswith(_FAILED_WRITE)


def _details(packed: Any) -> tuple[Any, float | None]:
    """ErrorInfo, or None, and RetryInfo's delay in seconds, or None."""
    info, retry_after_s = None, None
    if isinstance(packed, bytes):
        for detail in _Status.FromString(packed).details:
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                info = _ErrorInfo.FromString(detail.value)
            elif kind == "google.rpc.RetryInfo":
                retry_after_s = duration_pb2.Duration.FromString(
                    _RetryInfo.FromString(detail.value).retry_delay
                ).ToTimedelta().total_seconds()
    return info, retry_after_s


def _message(file: Any, name: str, *fields: tuple[str, int, int, str]) -> Any:
    message = file.message_type.add(name=name)
    for field, number, kind, of in fields:
        repeated = of.startswith("*")
        message.field.add(
            name=field, number=number, type=kind, type_name=of.lstrip("*") or None,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED if repeated
            else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        )
    return message


def _classes() -> tuple[Any, Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="google_rpc.proto", package="google_rpc", syntax="proto3")
    _message(file, "Any", ("type_url", 1, _TEXT, ""), ("value", 2, _BYTES, ""))
    _message(file, "Status", ("message", 2, _TEXT, ""), ("details", 3, _MESSAGE, "*.google_rpc.Any"))
    info = _message(file, "ErrorInfo", ("reason", 1, _TEXT, ""), ("metadata", 3, _MESSAGE, "*.google_rpc.ErrorInfo.MetadataEntry"))
    entry = info.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    for number, field in enumerate(("key", "value"), 1):
        entry.field.add(name=field, number=number, type=_TEXT, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    _message(file, "RetryInfo", ("retry_delay", 1, _BYTES, ""))  # a message's bytes, read as Duration
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kinds = [pool.FindMessageTypeByName(f"google_rpc.{name}") for name in ("Status", "ErrorInfo", "RetryInfo")]
    status, info, retry = map(message_factory.GetMessageClass, kinds)
    return status, info, retry


_Status, _ErrorInfo, _RetryInfo = _classes()
