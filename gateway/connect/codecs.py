"""Messages as bytes: protobuf's own form, and its JSON (https://protobuf.dev/programming-guides/json/)."""

from typing import Literal

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from gateway.service.errors import ErrorCode, ServiceError

Codec = Literal["proto", "json"]


def encode(message: Message, codec: Codec) -> bytes:
    """A message's bytes."""
    if codec == "json":
        return json_format.MessageToJson(message, indent=None).encode()
    return message.SerializeToString()


def decode(payload: bytes, kind: type[Message], codec: Codec) -> Message:
    """The message in bytes; fields that it doesn't know are passed over, as a newer client may send them. Raises
    INVALID_ARGUMENT.
    """
    message = kind()
    try:
        if codec == "json":
            json_format.Parse(payload, message, ignore_unknown_fields=True)
        else:
            message.ParseFromString(payload)
    except (json_format.ParseError, DecodeError, UnicodeDecodeError, RecursionError) as error:
        form = "JSON" if codec == "json" else "binary form"
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, f"the message is no {kind.DESCRIPTOR.full_name} in {form}") from error
    return message
