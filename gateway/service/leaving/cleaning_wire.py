"""What the gateway and the process that cleans a picture say to each other, framed as in edge_runtime/wire.py:

    frame = length of header (4 bytes, big endian) | header (msgpack) | bytes of a picture

The gateway sends one OrderMessage with the upload; one CleanedMessage with what may leave, a HeldMessage or a RefusedMessage
comes back. No numpy is loaded here.
"""

from typing import Any

import msgspec

from edge_runtime.wire import MAX_HEADER_BYTES, PREFIX, WireError

__all__ = ["MAX_HEADER_BYTES", "PREFIX"]


class OrderMessage(msgspec.Struct, frozen=True):
    """What is to be cleaned, and how. `tenant_key` is secret, and never goes any other way; `packages`: folders of model
    packages, whose domains check the parameters; `cpu_s`: the most that it may compute, in seconds.
    """

    size_bytes: int
    domain: str
    parameters: dict[str, Any]
    tenant_key: bytes
    keep_gps: bool
    limits: dict[str, int]
    packages: list[str]
    memory_bytes: int
    cpu_s: int


class CleanedMessage(msgspec.Struct, frozen=True, tag="cleaned"):
    """The picture that may leave follows."""

    size_bytes: int
    format: str
    rules: list[str]
    parameters: dict[str, Any]


class HeldMessage(msgspec.Struct, frozen=True, tag="held"):
    """It must not leave, for that reason. `kind`: the class of an error that nobody foresaw, for the log."""

    reason: str
    kind: str = ""


class RefusedMessage(msgspec.Struct, frozen=True, tag="refused"):
    """Its domain doesn't take the parameters, or the file."""

    error: WireError


Reply = CleanedMessage | HeldMessage | RefusedMessage

_encoder = msgspec.msgpack.Encoder()
_order = msgspec.msgpack.Decoder(OrderMessage)
_reply = msgspec.msgpack.Decoder(Reply)


def encode(message: OrderMessage | Reply) -> bytes:
    """Prefix and header; the picture follows it."""
    header = _encoder.encode(message)
    return PREFIX.pack(len(header)) + header


def decode_order(header: bytes) -> OrderMessage:
    """A header's bytes, without the prefix. Raises msgspec.MsgspecError for anything else."""
    return _order.decode(header)


def decode_reply(header: bytes) -> Reply:
    """The same of the way back."""
    reply: Reply = _reply.decode(header)
    return reply
