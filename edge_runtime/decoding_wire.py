"""What a decoder's process and whoever holds it say to each other, framed as in wire.py.

    frame = length of header (4 bytes, big endian) | header (msgpack) | blob

A ChunkMessage and a PictureMessage are followed by as many bytes as they state; no other message has a blob.
"""

import msgspec

from edge_runtime.wire import MAX_HEADER_BYTES, PREFIX, WireError

__all__ = ["MAX_HEADER_BYTES", "PREFIX"]


class DecodingConfig(msgspec.Struct, frozen=True):
    """What a decoder's process is started with. `codec`: that of a stream, or CLIP for a whole file."""

    socket_fd: int
    codec: str
    limits: dict[str, int]
    window: int
    memory_bytes: int


CLIP = "clip"


class ChunkMessage(msgspec.Struct, frozen=True, tag="chunk"):
    """Bytes of the stream or file follow."""

    size_bytes: int


class FinishMessage(msgspec.Struct, frozen=True, tag="finish"):
    """No more bytes come."""


class TakeMessage(msgspec.Struct, frozen=True, tag="take"):
    """That frame's picture is wanted, and then the frame no more."""

    number: int


class DropMessage(msgspec.Struct, frozen=True, tag="drop"):
    """That frame isn't wanted."""

    number: int


class StartedMessage(msgspec.Struct, frozen=True, tag="started"):
    """The process is there."""


class ClipMessage(msgspec.Struct, frozen=True, tag="clip"):
    """What a file holds; comes once, before its frames."""

    format: str
    codec: str
    width: int
    height: int
    times_s: tuple[float, ...]


class FrameMessage(msgspec.Struct, frozen=True, tag="frame"):
    """A frame is decoded."""

    number: int
    time_s: float
    width: int
    height: int


class PictureMessage(msgspec.Struct, frozen=True, tag="picture"):
    """The picture of a frame that was taken follows, as PNM; none with an `error`."""

    number: int
    size_bytes: int = 0
    error: WireError | None = None


class ConsumedMessage(msgspec.Struct, frozen=True, tag="consumed"):
    """So many bytes are worked off since the start."""

    size_bytes: int


class EndMessage(msgspec.Struct, frozen=True, tag="end"):
    """All frames have been told, up to an `error` where there is one."""

    error: WireError | None = None


Message = (
    ChunkMessage | FinishMessage | TakeMessage | DropMessage | StartedMessage | ClipMessage | FrameMessage | PictureMessage
    | ConsumedMessage | EndMessage
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Prefix and header; the blob follows it."""
    header = _encoder.encode(message)
    return PREFIX.pack(len(header)) + header


def decode(header: bytes) -> Message:
    """A header's bytes, without the prefix. Raises msgspec.MsgspecError for anything else."""
    message: Message = _decoder.decode(header)
    return message


def blob_size(message: Message) -> int:
    """How many bytes follow the header."""
    return message.size_bytes if isinstance(message, ChunkMessage | PictureMessage) else 0
