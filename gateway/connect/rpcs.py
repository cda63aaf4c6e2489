"""The calls of the protos, each with what it takes and what answers it."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.connect.call import HttpCall
from gateway.connect.wires import TRANSPORTS
from gateway.grpc.calls import Calls
from gateway.grpc.services import served
from gateway.service.services import Services

Answering = Callable[[Message, HttpCall], Coroutine[Any, Any, Message | None]]


@dataclass(frozen=True, slots=True)
class Rpc:
    """A call. `safe`: it changes nothing, and has one answer. `answering`: the servicer's method, by the transport that the
    call comes by; one with many answers writes them, and gives None.
    """

    name: str
    request: type[Message]
    takes_stream: bool
    gives_stream: bool
    safe: bool
    answering: Mapping[str, Answering]


def rpcs_of(services: Services) -> dict[str, Rpc]:
    """Every call by its path, /PACKAGE.SERVICE/METHOD."""
    faces = {transport: served(services, Calls(services.keys, transport)) for transport in TRANSPORTS}
    return {
        f"/{rows[0].descriptor.full_name}/{method.name}": _rpc(
            method, {transport: getattr(row.servicer, method.name) for transport, row in zip(faces, rows, strict=True)}
        )
        for rows in zip(*faces.values(), strict=True)
        for method in rows[0].descriptor.methods
    }


def _rpc(method: MethodDescriptor, answering: Mapping[str, Answering]) -> Rpc:
    safe = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS and not method.server_streaming
    kind = GetMessageClass(method.input_type)
    return Rpc(method.name, kind, method.client_streaming, method.server_streaming, safe, answering)
