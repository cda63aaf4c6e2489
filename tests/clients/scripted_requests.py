"""A gateway whose answers a test writes down beforehand: over REST (raw HTTP on a socket) and over gRPC."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_status import rpc_status

from gateway.grpc.status import to_status
from gateway.rest.problems import STATUS, to_problem
from gateway.service.errors import ErrorCode, ServiceError
from protos.hedgerow.v1 import analysis_pb2 as pb
from protos.hedgerow.v1 import analysis_pb2_grpc

DOMAINS = {"domains": [{"name": "pathology", "title": "Pathology", "parameters": [], "models": ["lung"]}]}
CUT = "cut"
"""The connection breaks once the request is there."""
SILENT = "silent"
"""No answer comes."""
ACCEPTED = "accepted"
"""It has become the job j-1."""
OVERLOADED = ServiceError(ErrorCode.OVERLOADED, "too much to do", retry_after_s=1)
BUSY = ServiceError(ErrorCode.UNAVAILABLE, "not now")
CORRUPT = ServiceError(ErrorCode.CORRUPT_MEDIA, "the file is damaged")
Answer = ServiceError | str


@dataclass
class Answers:
    """What is answered, in this order, and then always well. `keys`: the idempotency keys that came; `consents`: to what each
    request consented.
    """

    script: list[Answer] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    consents: list[tuple[str, ...]] = field(default_factory=list)
    asked: int = 0

    def next(self, key: str, consents: Iterable[str]) -> Answer | None:
        """The answer to the next request; None is a good one."""
        self.asked += 1
        self.keys.append(key)
        self.consents.append(tuple(consents))
        return self.script.pop(0) if self.script else None


class RestServer:
    """HTTP/1.1, one request a connection."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = Answers(list(answers))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._silent: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._silent:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            headers = _read(connection)
            consents = filter(None, headers.get("hedgerow-consent", "").split(", "))
            answer = self.answers.next(headers.get("idempotency-key", ""), consents)
            if answer == SILENT:
                self._silent.append(connection)
                continue
            if answer != CUT:
                connection.sendall(_response(answer))
            connection.close()


class GrpcServer(analysis_pb2_grpc.AnalysisServiceServicer):
    """AnalysisService.Analyze, AnalyzeWithProgress and ListDomains."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = Answers(list(answers))
        self._server = grpc.server(ThreadPoolExecutor(2))
        analysis_pb2_grpc.add_AnalysisServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call] # generated code
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.stop(0).wait()

    def Analyze(self, request: pb.AnalyzeRequest, context: Any) -> pb.AnalyzeResponse:  # noqa: N802
        self._answer(context, request.consents)
        return pb.AnalyzeResponse(analysis=_analysis(request.domain))

    def AnalyzeWithProgress(  # noqa: N802
        self, requests: Iterator[pb.AnalyzeWithProgressRequest], context: Any
    ) -> Iterator[pb.AnalyzeWithProgressResponse]:
        first, *_ = requests  # to the end: a call that is refused during the upload can't say why
        self._answer(context, first.start.consents)
        yield pb.AnalyzeWithProgressResponse(analysis=_analysis(first.start.domain))

    def ListDomains(self, request: pb.ListDomainsRequest, context: Any) -> pb.ListDomainsResponse:  # noqa: ARG002, N802
        self._answer(context)
        return pb.ListDomainsResponse(domains=[pb.Domain(name="pathology")])

    def _answer(self, context: Any, consents: Iterable[str] = ()) -> None:
        answer = self.answers.next(dict(context.invocation_metadata()).get("idempotency-key", ""), consents)
        if isinstance(answer, ServiceError):
            context.abort_with_status(rpc_status.to_status(to_status(answer, "r-1")))
        elif answer == CUT:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


def _analysis(domain: str) -> pb.Analysis:
    return pb.Analysis(
        id="a-1", domain=domain, media=pb.Media(), provenance=pb.Provenance(model=pb.ModelIdentity()),
        classification=pb.Classification(label="covid", region=pb.Box(width=1, height=1)),
    )


def _read(connection: socket.socket) -> dict[str, str]:
    """Reads a request to its end; gives its headers."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return headers


def _response(answer: Answer | None) -> bytes:
    if answer is None:
        return _http("200 OK", "application/json", json.dumps(DOMAINS))
    if answer == ACCEPTED:
        return _http("202 Accepted", "application/json", '{"id": "j-1", "state": "queued"}')
    if isinstance(answer, str):
        return _http(answer, "text/html", "<h1>proxy</h1>")
    more = f"Retry-After: {answer.retry_after_s}\r\n" if answer.retry_after_s else ""
    return _http(f"{STATUS[answer.code]} X", "application/problem+json", json.dumps(to_problem(answer, "r-1")), more)


def _http(status: str, kind: str, body: str, more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n{body}".encode()
