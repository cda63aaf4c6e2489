"""A gateway of which a test says what goes wrong: streams over WebSocket and gRPC, in a thread of their own. What it tells
is written by the gateway's own converters, so the form is the real one.
"""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
import msgspec
from grpc_status import rpc_status
from websockets.asyncio.server import Server, ServerConnection, serve

from gateway.grpc.events import event_to_proto
from gateway.grpc.status import to_status
from gateway.rest.problems import STATUS, to_problem
from gateway.rest.stream_messages import event_to_json
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.streams.events import Dropped, Ended, Event, Flow, FrameResult, Numbered, Started, Verdict
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc

REQUEST_ID = "r-1"
RESULT = {
    "kind": "classification", "label": "covid", "probability": 0.75,
    "probabilities": [{"label": "covid", "probability": 0.75}, {"label": "regular", "probability": 0.25}],
    "prediction_set": {"labels": ["covid"], "coverage": 0.9}, "abstained": False, "abstention": None,
    "region": {"x": 1, "y": 2, "width": 30, "height": 40}, "evidence": {"width": 7, "height": 7}, "notices": ["one"],
}
VERDICT = {
    "kind": "running_classification", "label": "covid", "probability": 0.7,
    "interval": {"low": 0.5, "high": 0.9, "confidence": 0.9},
    "probabilities": [{"label": "covid", "probability": 0.7}, {"label": "regular", "probability": 0.3}],
    "usable_share": 0.5, "frames": {"analysed": 2, "usable": 1, "usable_share": 0.5, "unusable": {"blurred": 1}},
    "abstained": True, "abstention": {"code": "low_confidence", "reason": "Not sure."},
}
PROVENANCE = {
    "model": {"name": "lung", "version": "1", "variant": "int8", "sha256": "ab"}, "device": "cpu", "backend": "litert",
    "simulated": False, "node": "embedded", "tier": "edge", "tier_reason": "", "attempts": 1,
    "timings_ms": {"queue": 1.0, "decode": 2.0, "preprocess": 3.0, "infer": 4.0, "postprocess": 5.0, "total": 15.0},
    "software": "hedgerow",
}


class Cut(Exception):
    """The connection breaks here."""


@dataclass
class Script:
    """One stream session that outlives connections. What goes wrong: `cut_after_frames`: the connection breaks after these
    frames, each once; `lose_frames`: it breaks before them, so that they never arrive; `refuse`: errors that the next
    connections meet; `replay`: how many events before those that the caller lacks are told again.
    """

    cut_after_frames: set[int] = field(default_factory=set)
    lose_frames: set[int] = field(default_factory=set)
    cut_after_bytes: list[int] = field(default_factory=list)
    refuse: list[ServiceError] = field(default_factory=list)
    fail_at: int = 0
    replay: int = 0
    deaf: bool = False
    pictures: dict[str, bytes] = field(default_factory=dict)
    first: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    frames: list[tuple[int, float, bytes]] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    events: list[Numbered] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)
    ended: bool = False
    told: int = 0

    def open(self, first: dict[str, Any], key: str) -> Numbered:
        """A connection begins."""
        self.first.append(first)
        self.keys.append(key)
        if self.refuse:
            raise self.refuse.pop(0)
        resumed = "token" in first
        self.told = max(0, first.get("received_events", 0) - self.replay) if resumed else 0
        number = self.frames[-1][0] + 1 if self.frames else 1
        return Numbered(0, Started("secret-token", number, len(self.received), 5.0, resumed=resumed))

    def frame(self, number: int, time_s: float, content: bytes) -> None:
        """A frame came."""
        if number in self.lose_frames:
            self.lose_frames.remove(number)
            raise Cut
        if self.frames and number <= self.frames[-1][0]:
            return
        self.frames.append((number, time_s, content))
        if number == self.fail_at:
            self._tell(Ended("failed", len(self.frames), len(self.frames) - 1, 0))
            return
        if self.deaf:
            return
        self._tell(FrameResult(number, time_s, RESULT, "" if number % 2 else "blurred", 12.5, PROVENANCE, self.pictures))
        self._tell(Verdict(VERDICT))
        if number == 3:
            self._tell(Dropped(1, 2, 1, "superseded"))
        if number in self.cut_after_frames:
            self.cut_after_frames.remove(number)
            raise Cut

    def chunk(self, offset: int, content: bytes) -> None:
        """Bytes came."""
        known = len(self.received) - offset
        assert known >= 0, f"bytes {len(self.received)} to {offset} are missing"
        self.received += content[known:]
        if self.cut_after_bytes and len(self.received) >= self.cut_after_bytes[0]:
            del self.received[self.cut_after_bytes.pop(0) :]  # the rest never arrived
            raise Cut

    def end(self) -> None:
        """Nothing more comes."""
        self.ended = True
        self._tell(Ended("finished", len(self.frames), len(self.frames), 0))

    def news(self) -> list[Numbered]:
        """What this connection hasn't been told."""
        found = self.events[self.told :]
        self.told = len(self.events)
        hint = [Numbered(0, Flow("ok", 29.5, 30.0))] if found else []
        return found + (hint if not self.ended else [])

    def over(self) -> ServiceError | None:
        """Why it failed, where it did."""
        last = self.events[-1].event if self.events else None
        if isinstance(last, Ended) and last.reason == "failed":
            return ServiceError(ErrorCode.CORRUPT_MEDIA, f"frame {self.fail_at} is no picture")
        return None

    @property
    def finished(self) -> bool:
        """Whether the last event is there."""
        return bool(self.events) and isinstance(self.events[-1].event, Ended)

    def _tell(self, event: Event) -> None:
        self.events.append(Numbered(len(self.events) + 1, event))


class ScriptedGateway(analysis_pb2_grpc.AnalysisServiceServicer):
    """Both faces of a script, ready inside a `with` block."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.websocket_url = self.grpc_url = ""
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def url(self, transport: str) -> str:
        """Where a client finds it: `websocket` or `grpc`."""
        return {"websocket": self.websocket_url, "grpc": self.grpc_url}[transport]

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = grpc.aio.server()
        analysis_pb2_grpc.add_AnalysisServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call] # generated code
        self.grpc_url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        sockets: Server
        async with serve(self._websocket, "127.0.0.1", 0) as sockets:
            self.websocket_url = f"http://127.0.0.1:{next(iter(sockets.sockets)).getsockname()[1]}"
            self._ready.set_result(None)
            await self._stop.wait()
        await server.stop(0)

    async def _websocket(self, connection: ServerConnection) -> None:
        try:
            first = msgspec.json.decode(await connection.recv())
            assert connection.request is not None
            key = connection.request.headers.get("Authorization", "")
            await connection.send(event_to_json(self.script.open(first, key)))
            await self._tell_websocket(connection)
            async for message in connection:
                self._websocket_message(message)
                await self._tell_websocket(connection)
        except Cut:
            connection.transport.abort()
        except ServiceError as error:
            await connection.send(msgspec.json.encode({"type": "error", "problem": to_problem(error, REQUEST_ID)}).decode())
            await connection.close(4000 + STATUS[error.code])

    def _websocket_message(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            number, time_s, _, _ = struct.unpack_from(">qdII", message)
            if self.script.first[0].get("codec") == "pictures":
                self.script.frame(number, time_s, message[24:])
            else:
                self.script.chunk(number, message[24:])
            return
        control = msgspec.json.decode(message)
        if control["type"] == "end":
            self.script.end()
        else:
            self.script.acks.append(control["event"])

    async def _tell_websocket(self, connection: ServerConnection) -> None:
        for numbered in self.script.news():
            await connection.send(event_to_json(numbered))
        if (error := self.script.over()) is not None:
            raise error
        if self.script.finished:
            await connection.close()

    async def Stream(self, requests: AsyncIterator[pb.StreamRequest], context: Any) -> AsyncIterator[pb.StreamResponse]:  # noqa: N802
        try:
            first = await anext(requests)
            opened: dict[str, Any] = {"codec": "pictures" if first.start.codec == pb.STREAM_CODEC_PICTURES else "other"}
            if first.WhichOneof("message") == "resume":
                opened = {"token": first.resume.token, "received_events": first.resume.received_events}
            yield event_to_proto(self.script.open(opened, dict(context.invocation_metadata()).get("authorization", "")))
            while True:
                for numbered in self.script.news():
                    yield event_to_proto(numbered)
                if (error := self.script.over()) is not None:
                    raise error
                if self.script.finished or (request := await anext(requests, None)) is None:
                    return
                self._grpc_message(request)
        except Cut:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        except ServiceError as error:
            await context.abort_with_status(rpc_status.to_status(to_status(error, REQUEST_ID)))

    def _grpc_message(self, request: pb.StreamRequest) -> None:
        match request.WhichOneof("message"):
            case "frame":
                self.script.frame(request.frame.number, request.frame.time_s, request.frame.content)
            case "chunk":
                self.script.chunk(request.chunk.offset, request.chunk.content)
            case "end":
                self.script.end()
            case "ack":
                self.script.acks.append(request.ack.event)
