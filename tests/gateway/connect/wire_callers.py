"""Callers that speak Connect and gRPC-Web by the letter of their specifications, with none of the gateway's own code for it."""

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

CONNECT_CODES = {code_pb2.Code.Name(number).lower(): number for number in code_pb2.Code.values()} | {"canceled": 1}


@dataclass
class Reply:
    """An answer taken apart. `code`: gRPC's number, 0 where all went well."""

    http: httpx.Response
    messages: list[Any] = field(default_factory=list)
    code: int = 0
    told: str = ""
    info: error_details_pb2.ErrorInfo = field(default_factory=error_details_pb2.ErrorInfo)

    @property
    def status(self) -> str:
        """The code's name."""
        return str(code_pb2.Code.Name(self.code))


@dataclass(frozen=True)
class WireCaller:
    """One form of a call. `streams`: for calls with many answers."""

    content_type: str
    json: bool = False
    streams: bool = True

    @property
    def grpc_web(self) -> bool:
        return "grpc-web" in self.content_type

    @property
    def transport(self) -> str:
        """What the log calls it."""
        return "grpc-web" if self.grpc_web else "connect"

    @property
    def enveloped(self) -> bool:
        return "+" in self.content_type or self.grpc_web

    def timeout(self, milliseconds: int) -> dict[str, str]:
        """The header of a deadline."""
        return {"grpc-timeout": f"{milliseconds}m"} if self.grpc_web else {"Connect-Timeout-Ms": str(milliseconds)}

    def body(self, message: Message) -> bytes:
        """A request's."""
        payload = json_format.MessageToJson(message).encode() if self.json else message.SerializeToString()
        return self.packed(payload)

    def packed(self, payload: bytes, flags: int = 0) -> bytes:
        """A message's bytes as a body."""
        if self.enveloped:
            payload = struct.pack(">BI", flags, len(payload)) + payload
        return base64.b64encode(payload) if "text" in self.content_type else payload

    def call(
        self, client: httpx.Client, path: str, request: Message | bytes, answer: type[Message], headers: dict[str, str] | None = None
    ) -> Reply:
        """Calls, and reads all of the answer. `request`: a message, or a body as it is."""
        body = request if isinstance(request, bytes) else self.body(request)
        sent = {"Content-Type": self.content_type, **(headers or {})}
        return self.reply(client.post(path, content=body, headers=sent), answer)

    def reply(self, response: httpx.Response, answer: type[Message]) -> Reply:
        """An answer that is there."""
        reply = Reply(response)
        if not self.enveloped:
            if response.status_code == 200:
                assert response.headers["content-type"] == self.content_type
                reply.messages.append(self._message(response.content, answer))
            else:
                assert response.headers["content-type"] == "application/json"
                self._connect_error(reply, response.json())
            return reply
        assert response.status_code == 200
        assert response.headers["content-type"] == self.content_type
        *parts, (flags, end) = self.parts(response.content)
        assert [flag for flag, _ in parts] == [0] * len(parts)
        reply.messages += [self._message(payload, answer) for _, payload in parts]
        if self.grpc_web:
            assert flags == 0x80
            self._trailers(reply, end.decode("ascii"))
        else:
            assert flags == 0x02
            document = json.loads(end)
            if "error" in document:
                self._connect_error(reply, document["error"])
        return reply

    def parts(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Flags and payload of each envelope."""
        if "text" in self.content_type:
            body = b"".join(base64.b64decode(body[at : at + 4], validate=True) for at in range(0, len(body), 4))
        while body:
            flags, length = struct.unpack_from(">BI", body)
            assert len(body) >= 5 + length
            yield flags, body[5 : 5 + length]
            body = body[5 + length :]

    def _message(self, payload: bytes, kind: type[Message]) -> Message:
        return json_format.Parse(payload, kind()) if self.json else kind.FromString(payload)

    def _connect_error(self, reply: Reply, error: dict[str, Any]) -> None:
        reply.code, reply.told = CONNECT_CODES[error["code"]], error["message"]
        for detail in error["details"]:
            assert "=" not in detail["value"]
            if detail["type"] == "google.rpc.ErrorInfo":
                value = detail["value"] + "=" * (-len(detail["value"]) % 4)
                reply.info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(value, validate=True))
                assert detail["debug"]["metadata"] == dict(reply.info.metadata)

    def _trailers(self, reply: Reply, text: str) -> None:
        assert text.endswith("\r\n")
        trailers = dict(line.split(": ", 1) for line in text.splitlines())
        reply.code = int(trailers["grpc-status"])
        reply.told = unquote(trailers.get("grpc-message", ""))
        if "grpc-status-details-bin" in trailers:
            value = trailers["grpc-status-details-bin"]
            status = status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4), validate=True))
            assert (status.code, status.message) == (reply.code, reply.told)
            for detail in status.details:
                detail.Unpack(reply.info)


UNARY = (WireCaller("application/json", json=True, streams=False), WireCaller("application/proto", streams=False))
STREAMS = (WireCaller("application/connect+json", json=True), WireCaller("application/connect+proto"))
WEB = tuple(WireCaller(f"application/grpc-web{suffix}") for suffix in ("", "+proto", "-text", "-text+proto"))
