"""A link that breaks: a TCP relay that ends each of its first connections after so many bytes from the caller."""

import contextlib
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class NarrowLink:
    """Listens on a free port inside a `with` block. `breaks`: after how many bytes each connection breaks, one after the
    other; those that come later don't. `carried`: how many bytes it took from callers.
    """

    def __init__(self, port: int, breaks: Sequence[int] = ()) -> None:
        self.carried = 0
        self.broken = 0
        self._target = ("127.0.0.1", port)
        self._breaks = list(breaks)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
            threading.Thread(target=_copy, args=(far, near), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            sent = 0
            while data := near.recv(65536):
                far.sendall(data)
                sent += len(data)
                self.carried += len(data)
                if self._breaks and sent > self._breaks[0]:
                    self._breaks.pop(0)
                    self.broken += 1
                    break
            for connection in (near, far):
                connection.shutdown(socket.SHUT_RDWR)


def _copy(far: socket.socket, near: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := far.recv(65536):
            near.sendall(data)
