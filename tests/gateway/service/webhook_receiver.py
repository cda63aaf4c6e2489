"""A real HTTP receiver of webhooks on a free port, that answers as the test says."""

import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Answer = Callable[[BaseHTTPRequestHandler, "Receiver"], None]


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Gives its answers in order, and the last one from then on."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.sent = 0
        """Bytes of endless answers."""
        self.at_once = 0
        self.most_at_once = 0
        self.released = threading.Event()
        """Lets those go that wait."""
        self._answers = answers
        self._lock = threading.Lock()
        self._server = _Server(self, tls)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.port = self._server.server_port
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/results"

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Takes one message and answers it."""
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            answer = self._answers[min(len(self.received), len(self._answers) - 1)]
            self.received.append(Received(handler.path, headers, body))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer(handler, self)
        finally:
            with self._lock:
                self.at_once -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, receiver: Receiver, tls: ssl.SSLContext | None) -> None:
        class Handler(BaseHTTPRequestHandler):
            """Hands each message to the receiver."""

            def setup(self) -> None:
                """Counts the connection."""
                receiver.connections += 1
                super().setup()

            def do_POST(self) -> None:
                """A message."""
                with suppress(OSError):  # the sender needn't wait for the end
                    receiver.serve(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """That status; headers are named with underscores."""
    def answer(handler: BaseHTTPRequestHandler, _: Receiver) -> None:
        handler.send_response(code)
        for name, value in {**headers, "content_length": str(len(body))}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def closes(handler: BaseHTTPRequestHandler, _: Receiver) -> None:
    """Hangs up without a word."""
    handler.close_connection = True


def waits(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
    """Says nothing until it is released, then that it has the message."""
    receiver.released.wait(20)
    status(204)(handler, receiver)


def endless(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
    """Has the message, and goes on talking for as long as anybody listens."""
    handler.send_response(200)
    handler.end_headers()
    while not receiver.released.is_set():
        receiver.sent += handler.wfile.write(bytes(65_536))


def trickling(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
    """Has the message, and says so in single bytes that never end."""
    handler.send_response(200)
    handler.end_headers()
    while not receiver.released.wait(0.05):
        handler.wfile.write(b".")
        handler.wfile.flush()
