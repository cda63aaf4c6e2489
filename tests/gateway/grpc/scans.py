"""A node that answers every frame with a scan's classification, and a caller of the gRPC stream over it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc
import msgspec

from edge_runtime.node import Answer, Renew
from edge_runtime.scheduler import Priority
from edge_runtime.wire import Track
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.scripted_node import LUNG, ScriptedNode

SCAN = {
    "kind": "classification", "label": "normal", "probability": 0.75, "abstained": False, "abstention": None,
    "probabilities": [{"label": "normal", "probability": 0.75}, {"label": "covid", "probability": 0.25}],
    "prediction_set": None, "region": {"x": 0, "y": 0, "width": 64, "height": 48}, "evidence": None, "notices": [],
}
PATIENCE_S = 20.0
"""No test waits longer for anything."""


@dataclass
class ScanNode(ScriptedNode):
    """Frames have 64x48 pixels, whatever their bytes are. A frame `b"bad"` fails as `bad` says."""

    bad: Exception | None = None

    async def analyse(
        self, domain: str, payload: bytes, parameters: Mapping[str, Any], *,
        priority: Priority, timeout_s: float, tenant: str = "", track: Track = "active", renew: Renew | None = None,
    ) -> Answer:
        if self.bad and payload == b"bad":
            raise self.bad
        answer = await super().analyse(
            domain, payload, parameters, priority=priority, timeout_s=timeout_s, tenant=tenant, track=track, renew=renew,
        )
        reply = msgspec.structs.replace(
            answer.reply, document=SCAN, parameters=dict(parameters), media={"format": "pnm", "width": 64, "height": 48},
            model={"name": LUNG, "version": "1", "variant": "int8", "sha256": "ab"},
        )
        return replace(answer, reply=reply)


class Connection:
    """One call of Stream, its sender in the test's hands. It is cancelled where it still runs when its `with` block ends."""

    def __init__(self, stub: Any, key: str, *requests: pb.StreamRequest, timeout_s: float = PATIENCE_S) -> None:
        self._requests: SimpleQueue[pb.StreamRequest | None] = SimpleQueue()
        self.taken = 0
        """How many requests gRPC took to send."""
        self.send(*requests)
        self.call = stub.Stream(self._sender(), metadata=[("authorization", f"Bearer {key}")], timeout=timeout_s)

    def send(self, *requests: pb.StreamRequest) -> None:
        """Requests to send, without waiting for it."""
        for request in requests:
            self._requests.put(request)

    def close_sending(self) -> None:
        """Says that nothing more comes, in gRPC's way."""
        self._requests.put(None)

    def until(self, wanted: Callable[[pb.StreamResponse], bool]) -> list[pb.StreamResponse]:
        """The responses up to the one that is wanted. Raises RpcError where the call ends with an error before."""
        found = []
        for response in self.call:
            found.append(response)
            if wanted(response):
                return found
        raise AssertionError(f"the call ended: {found}")

    def rest(self) -> list[pb.StreamResponse]:
        """The responses to the end of the call."""
        return list(self.call)

    def error(self) -> tuple[list[pb.StreamResponse], grpc.RpcError]:
        """What came before the error that the call ends with, and the error."""
        found = []
        try:
            found.extend(self.call)
        except grpc.RpcError as error:
            return found, error
        raise AssertionError(f"no error: {found}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.call.cancel()
        self.close_sending()

    def _sender(self) -> Iterator[pb.StreamRequest]:
        while (request := self._requests.get()) is not None:
            self.taken += 1
            yield request


def start(**fields: Any) -> pb.StreamRequest:
    """Opens a stream of lung scans as pictures, unless told otherwise."""
    opened: dict[str, Any] = {"domain": "pathology", "codec": pb.STREAM_CODEC_PICTURES}
    message = pb.StreamStart(**opened | fields)
    message.parameters.update({"exam": LUNG})
    return pb.StreamRequest(start=message)


def resume(token: str, received_events: int = 0) -> pb.StreamRequest:
    """Takes a stream up again."""
    return pb.StreamRequest(resume=pb.StreamResume(token=token, received_events=received_events))


def frames(first: int, last: int, content: bytes = b"a scan") -> list[pb.StreamRequest]:
    """Frames of 25 a second."""
    return [
        pb.StreamRequest(frame=pb.StreamFrame(number=number, time_s=number / 25, content=content))
        for number in range(first, last + 1)
    ]


def end() -> pb.StreamRequest:
    """Asks for the final verdict."""
    return pb.StreamRequest(end=pb.StreamEnd())


def kind(response: pb.StreamResponse) -> str:
    """The name of the event."""
    return str(response.WhichOneof("message"))


def of_frame(number: int) -> Callable[[pb.StreamResponse], bool]:
    """Whether a response is the answer to that frame."""
    return lambda response: kind(response) == "frame" and response.frame.number == number
