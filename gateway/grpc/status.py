"""Errors as gRPC statuses: one table from ErrorCode; google.rpc.ErrorInfo with the request id, and RetryInfo."""

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gateway.service.errors import ErrorCode, ServiceError

ERROR_DOMAIN = "hedgerow"

STATUS: dict[ErrorCode, grpc.StatusCode] = {
    ErrorCode.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.EMPTY_BODY: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNKNOWN_DOMAIN: grpc.StatusCode.NOT_FOUND,
    ErrorCode.UNKNOWN_EXAM: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNSUPPORTED_MEDIA: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.CORRUPT_MEDIA: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.MEDIA_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.PAYLOAD_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.INPUT_BREAKS_WORKER: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.PACKAGE_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorCode.CONFLICT: grpc.StatusCode.ABORTED,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.EXPIRED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.STORAGE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.GONE: grpc.StatusCode.NOT_FOUND,
    ErrorCode.OVERLOADED: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.CLOUD_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.HELD_BACK: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
}


def to_status(error: ServiceError, request_id: str) -> status_pb2.Status:
    """The google.rpc.Status of an error. It holds when to try again where that is known."""
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=ERROR_DOMAIN, metadata={"request_id": request_id})
    if error.parameter:
        info.metadata["parameter"] = error.parameter
    details = [_packed(info)]
    if error.retry_after_s is not None:
        pause = error_details_pb2.RetryInfo()
        pause.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(_packed(pause))
    return status_pb2.Status(code=STATUS[error.code].value[0], message=str(error), details=details)


def _packed(message: Message) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail
