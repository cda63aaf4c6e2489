"""What a caller of the WebSocket does, step by step, and one who reads nothing."""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.gateway.rest.scripted_services import RestThread, ScriptedStream

PICTURE = b"\xff\xd8 a picture"


def connected(gateway: RestThread, domain: str = "pathology", **headers: str) -> ClientConnection:
    """A connection that has said nothing yet."""
    return gateway.connections.enter_context(connect(
        f"ws://{gateway.address}/v1/domains/{domain}/stream", additional_headers=headers, proxy=None, compression=None,
        close_timeout=1,
    ))


def say(connection: ClientConnection, **message: Any) -> None:
    """Sends a JSON message."""
    connection.send(json.dumps(message))


def heard(connection: ClientConnection) -> dict[str, Any]:
    """The next message."""
    document: dict[str, Any] = json.loads(connection.recv(10))
    return document


def opened(gateway: RestThread, **start: Any) -> tuple[ClientConnection, ScriptedStream]:
    """A stream whose first event was heard."""
    connection = connected(gateway, **{"X-API-Key": gateway.key})
    say(connection, type="start", **start)
    assert heard(connection)["type"] == "started"
    return connection, gateway.streams.opened[-1]


def binary(position: int, content: bytes = PICTURE, time_s: float = 0.0, width: int = 0, height: int = 0) -> bytes:
    """A frame or a chunk."""
    return struct.pack(">qdII", position, time_s, width, height) + content


def close_of(connection: ClientConnection) -> tuple[int, str]:
    """With which code and reason the gateway closes the connection, which tells nothing more."""
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(10)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


def refused(connection: ClientConnection) -> tuple[dict[str, Any], int]:
    """The problem that is told last, and the code with which the connection is closed then."""
    last = heard(connection)
    assert last["type"] == "error"
    return last["problem"], close_of(connection)[0]


def until(condition: Callable[[], object]) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def deaf(gateway: RestThread, first: bytes) -> Iterator[socket.socket]:
    """A connection that says something and never reads more than the handshake."""
    host, port = gateway.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(
            f"GET /v1/domains/pathology/stream HTTP/1.1\r\nHost: {gateway.address}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n"
            f"X-API-Key: {gateway.key}\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += plain.recv(1)
        plain.sendall(masked(first, opcode=1))
        yield plain


def masked(message: bytes, *, opcode: int) -> bytes:
    """A message as one frame of RFC 6455 5.2, masked with zeros."""
    size = len(message)
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + struct.pack(">Q", size)
    return bytes([0x80 | opcode]) + length + bytes(4) + message
