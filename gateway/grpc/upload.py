"""A file that comes in chunks: its start, its bytes, its parameters and its key."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from google.protobuf import json_format

from gateway.service.analyses import Policy
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.orders import check_key
from gateway.service.leaving.consent import check_consents
from gateway.service.parameters import from_struct
from protos.hedgerow.v1 import analysis_pb2, jobs_pb2, uploads_pb2

Start = analysis_pb2.AnalyzeRequest | analysis_pb2.UploadStart | jobs_pb2.JobStart | uploads_pb2.CreateUploadRequest


class Upload(Protocol):
    """A message of any call that takes a file in chunks: `start` first, then `chunk`."""

    start: Any
    chunk: bytes

    def WhichOneof(self, oneof_group: Any) -> str | None:  # noqa: N802 - protobuf's name
        """Which of the two it is."""


async def first_of(requests: AsyncIterator[Any]) -> Any:
    """The start. Raises INVALID_ARGUMENT where something else comes first."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("message") != "start":
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "the first message of an upload is 'start'")
    return first.start


async def collect(requests: AsyncIterator[Upload], declared: int, policy: Policy) -> bytes:
    """The file's bytes. Raises PAYLOAD_TOO_LARGE as soon as that is known, INVALID_ARGUMENT where some are missing."""
    policy.check_size(declared)
    chunks, size = [], 0
    async for message in requests:
        if message.WhichOneof("message") != "chunk":
            raise ServiceError(ErrorCode.INVALID_ARGUMENT, "after 'start' an upload holds chunks only")
        size += len(message.chunk)
        policy.check_size(size)
        chunks.append(message.chunk)
    if declared and size != declared:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"{declared} bytes were announced, {size} came",
                           parameter="size_bytes")
    return b"".join(chunks)


def parameters_of(start: Start) -> dict[str, Any]:
    """The domain's parameters."""
    return from_struct(json_format.MessageToDict(start.parameters))


def key_of(start: Start) -> str:
    """The idempotency key; empty where there is none. Raises INVALID_ARGUMENT."""
    return check_key(start.request_id, "request_id") if start.request_id else ""


def consents_of(start: Start) -> tuple[str, ...]:
    """What the caller lets happen with the file. Raises INVALID_ARGUMENT."""
    return check_consents(start.consents, "consents")
