"""The messages of a live stream over WebSocket: JSON and binary from callers, JSON to them. docs/streams.md has the protocol."""

import math
import re
import struct
from typing import Any, TypeVar

import msgspec

from gateway.rest.documents import analysis_to_json
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.streams.events import Codec, Ended, Numbered, Policy

HEADER = struct.Struct(">qdII")
"""Before the content of a binary message: number of the frame or offset of the chunk, media time in seconds, width, height."""

TEXT_LIMIT = 64 * 1024
"""Characters of a JSON message, at most."""

T = TypeVar("T")
_FIELD = re.compile(r" - at `\$\.(\w+)")


class Start(msgspec.Struct, frozen=True, tag="start", forbid_unknown_fields=True):
    """Opens a stream. `key`: the API key of callers that can't set headers, which browsers can't."""

    key: str = ""
    parameters: dict[str, Any] = {}
    codec: Codec = "pictures"
    policy: Policy = "latest"
    sample_fps: float = 0.0
    with_pictures: bool = False


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """Takes a stream up again. `received_events`: number of the last event that arrived."""

    token: str
    key: str = ""
    received_events: int = 0


class Ack(msgspec.Struct, frozen=True, tag="ack", forbid_unknown_fields=True):
    """Everything up to this event arrived."""

    event: int


class End(msgspec.Struct, frozen=True, tag="end", forbid_unknown_fields=True):
    """Nothing more comes: the final verdict is wanted."""


class Binary(msgspec.Struct, frozen=True):
    """A frame or a chunk. `position`: the frame's number or the chunk's offset in bytes."""

    position: int
    time_s: float
    width: int
    height: int
    content: bytes


_FIRST: msgspec.json.Decoder[Start | Resume] = msgspec.json.Decoder(Start | Resume)
_CONTROL: msgspec.json.Decoder[Ack | End] = msgspec.json.Decoder(Ack | End)


def first_from_json(text: str) -> Start | Resume:
    """The message that opens a stream or takes one up again. Raises INVALID_ARGUMENT."""
    return _decode(_FIRST, text, "the first message is a JSON object of the type start or resume")


def control_from_json(text: str) -> Ack | End:
    """Any later JSON message. Raises INVALID_ARGUMENT."""
    return _decode(_CONTROL, text, "after the first, a JSON message has the type ack or end")


def binary_from_bytes(message: bytes) -> Binary:
    """A binary message's header and content. Raises INVALID_ARGUMENT for one without a header, or whose time is none."""
    if len(message) < HEADER.size:
        raise malformed(f"a binary message begins with a header of {HEADER.size} bytes")
    position, time_s, width, height = HEADER.unpack_from(message)
    if not math.isfinite(time_s):
        raise malformed("the time is a number of seconds", "time_s")
    return Binary(position, time_s, width, height, message[HEADER.size:])


def event_to_json(numbered: Numbered) -> str:
    """An event with its number; pictures are base64, an analysis is that of `GET /v1/analyses/{id}`."""
    event = numbered.event
    document = {"event": numbered.number, "type": event.__struct_config__.tag, **msgspec.structs.asdict(event)}
    if isinstance(event, Ended) and event.analysis is not None:
        document["analysis"] = analysis_to_json(event.analysis)
    return msgspec.json.encode(document).decode()


def malformed(expected: str, field: str = "") -> ServiceError:
    """What is told of a message that isn't as it should be. `field`: the one at fault, where that is known."""
    return ServiceError(
        ErrorCode.INVALID_ARGUMENT, f"the message is malformed: {expected}; docs/streams.md has their form", parameter=field
    )


def _decode(decoder: msgspec.json.Decoder[T], text: str, expected: str) -> T:
    if len(text) > TEXT_LIMIT:
        raise ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, f"a JSON message has at most {TEXT_LIMIT} characters")
    try:
        return decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        place = _FIELD.search(str(error))  # the rest of its text could quote what was sent
        raise malformed(expected, place[1] if place else "") from error
