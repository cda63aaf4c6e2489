"""The callers of benchmarks/serving.py: so many requests in flight for so many seconds, over HTTP/1.1 with kept connections or gRPC.

Started by it, with a JSON object: `seconds`, `warm_s`, `at_once`, `body` (a file), `paced_s` (seconds between two requests of a
caller, 0: at once), and for REST `host`, `port`, `head` (request line and headers, the length of the body aside), for gRPC
`address`, `method`, `metadata`. HTTP is written to plain sockets: what the callers cost is taken from the servers' cores where the
machine has no others, and is told.
"""

import asyncio
import base64
import json
import re
import resource
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.serving_process import take_part

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFER = 8 * 1024 * 1024


class Outcome:
    """What the callers saw: how long each good answer took, the others by status, and the last good answer."""

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.errors: dict[str, int] = {}
        self.answer = b""

    def told(self, status: str, took_s: float, answer: bytes) -> None:
        """One answer came."""
        if status in {"200", "201", "OK"}:
            self.took_ms.append(round(took_s * 1000, 3))
            self.answer = answer
        else:
            self.errors[status] = self.errors.get(status, 0) + 1


class _Connection:
    """One caller: a connection on which one request is in flight."""

    def __init__(self, task: dict[str, Any], request: bytes) -> None:
        self.socket = socket.create_connection((task["host"], task["port"]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.socket.setblocking(False)
        self._request = memoryview(request)
        self._sent, self._got, self._whole = len(request), bytearray(), 0
        self._began = self.next_at = 0.0

    @property
    def waits_to_send(self) -> bool:
        return self._sent < len(self._request)

    def ask(self, since: float) -> None:
        """Sends the next request, as far as the socket takes it; its time counts from `since`."""
        self._sent, self._whole, self._began = 0, 0, since
        self._got.clear()
        self.go_on()

    def go_on(self) -> None:
        """Sends more of it."""
        try:
            while self.waits_to_send:
                self._sent += self.socket.send(self._request[self._sent:])
        except BlockingIOError:
            pass

    def take(self, outcome: Outcome) -> bool:
        """Reads what is there; whether the answer is whole."""
        more = self.socket.recv(1 << 20)
        if not more:
            raise ConnectionError("the server closed a connection under a request")
        self._got += more
        if not self._whole:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = _LENGTH.search(self._got, 0, end)
            if length is None:
                raise ValueError(f"an answer without a length: {bytes(self._got[:end])!r}")
            self._whole = end + 4 + int(length[1])
        if len(self._got) < self._whole:
            return False
        status, _, rest = bytes(self._got).partition(b"\r\n")
        outcome.told(status.split()[1].decode(), time.perf_counter() - self._began, rest.partition(b"\r\n\r\n")[2])
        return True


class RestCallers:
    """As many connections as there are to be requests in flight, in one thread."""

    def __init__(self, task: dict[str, Any], body: bytes) -> None:
        request = f"{task['head']}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._paced_s = task["paced_s"]
        self._poll = select.epoll()
        self._connections = {}
        for _ in range(task["at_once"]):
            connection = _Connection(task, request)
            self._connections[connection.socket.fileno()] = connection
            self._poll.register(connection.socket.fileno(), select.EPOLLIN)

    def run(self, seconds: float, outcome: Outcome) -> float:
        """Asks for so long, and waits for the last answers; gives how long all took."""
        began = time.perf_counter()
        idle = []
        for number, connection in enumerate(self._connections.values()):
            connection.next_at = began + number * self._paced_s / len(self._connections)  # spread over one pace
            idle.append(connection)
        asking = 0
        while asking or time.perf_counter() - began < seconds:
            now = time.perf_counter()
            for connection in [one for one in idle if one.next_at <= now and now - began < seconds]:
                idle.remove(connection)
                asking += 1
                connection.ask(connection.next_at if self._paced_s else now)  # late for its turn counts as waiting
                self._watch(connection)
            due = min((one.next_at for one in idle), default=now + 1)
            for number, event in self._poll.poll(max(0.0, min(due - now, 1.0)) if idle else 1.0):
                connection = self._connections[number]
                if event & select.EPOLLOUT:
                    connection.go_on()
                    self._watch(connection)
                if event & ~select.EPOLLOUT and connection.take(outcome):
                    asking -= 1
                    connection.next_at += self._paced_s
                    idle.append(connection)
        return time.perf_counter() - began

    def _watch(self, connection: _Connection) -> None:
        self._poll.modify(connection.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.waits_to_send else 0))


async def grpc_callers(task: dict[str, Any], request: bytes) -> tuple[Outcome, float, float]:
    """The same over one channel: outcome, seconds, CPU seconds of its own."""
    import grpc

    metadata = [(name, value) for name, value in task["metadata"]]
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(task["address"], options) as channel:
        method = channel.unary_unary(task["method"])  # bytes in, bytes out

        async def caller(number: int, until: float, outcome: Outcome) -> None:
            next_at = time.perf_counter() + number * task["paced_s"] / task["at_once"]
            while (now := time.perf_counter()) < until:
                if next_at > now and task["paced_s"]:
                    await asyncio.sleep(next_at - now)
                began = next_at if task["paced_s"] else now
                next_at += task["paced_s"]
                try:
                    answer = await method(request, metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    outcome.told(error.code().name, 0.0, b"")
                else:
                    outcome.told("OK", time.perf_counter() - began, answer)

        async def run(seconds: float, outcome: Outcome) -> float:
            began = time.perf_counter()
            await asyncio.gather(*(caller(number, began + seconds, outcome) for number in range(task["at_once"])))
            return time.perf_counter() - began

        await run(task["warm_s"], Outcome())
        take_part()
        before, outcome = _own_cpu_s(), Outcome()
        return outcome, await run(task["seconds"], outcome), _own_cpu_s() - before


def rest_callers(task: dict[str, Any], body: bytes) -> tuple[Outcome, float, float]:
    """Outcome, seconds, CPU seconds of its own."""
    callers = RestCallers(task, body)
    callers.run(task["warm_s"], Outcome())
    take_part()
    before, outcome = _own_cpu_s(), Outcome()
    return outcome, callers.run(task["seconds"], outcome), _own_cpu_s() - before


def main() -> None:
    """Prints what came of it as JSON."""
    task = json.loads(sys.argv[1])
    body = Path(task["body"]).read_bytes()
    outcome, wall_s, cpu_s = asyncio.run(grpc_callers(task, body)) if "method" in task else rest_callers(task, body)
    print(json.dumps({
        "took_ms": outcome.took_ms, "errors": outcome.errors, "wall_s": wall_s, "own_cpu_s": cpu_s,
        "answer": base64.b64encode(outcome.answer).decode(),
    }))


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
