"""Where webhooks of benchmarks/durability.py arrive."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Receiver:
    """An HTTP server on 127.0.0.1 that takes everything and keeps what it was told of each job."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, Any]] = {}
        """The last document of each job, by the job's id."""
        self.messages: dict[str, set[str]] = {}
        """The `webhook-id` of each message, by the job's id: a repetition has the same."""
        self.last_at = 0.0
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.headers.get("webhook-id", ""), json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/results"

    def take(self, message: str, document: dict[str, Any]) -> None:
        """Notes one message."""
        with self._lock:
            self.told[document["id"]] = document
            self.messages.setdefault(document["id"], set()).add(message)
            self.last_at = time.monotonic()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
