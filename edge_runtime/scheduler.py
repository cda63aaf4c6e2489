"""Which task runs where and when: events in, decisions out. No clock, no process, no I/O.

Rules
1. At most `max_waiting` tasks and `max_waiting_bytes` bytes wait; one more is refused at once (Overloaded).
2. A worker holds at most as many tasks as it has slots.
3. Order: suspects, then priority, then deadline, then arrival.
4. When a worker is lost, its tasks become suspects: each is run once more, alone on an otherwise empty worker, so that
   the one at fault takes no other along.
5. A suspect whose worker is lost again is broken: it is handed back as such and never run again.
6. A task whose caller left is forgotten while it waits.

A task moves   waiting -> running -> done
                  ^          |
                  +- suspect-+ -> broken
"""

import enum
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_runtime.errors import Overloaded


class Priority(enum.IntEnum):
    """Who goes first."""

    LIVE = 0
    INTERACTIVE = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the scheduler needs to know of a task. `deadline` is a time of the pool's monotonic clock, in seconds."""

    id: int
    priority: Priority
    deadline: float
    size_bytes: int


@dataclass(slots=True)
class _Worker:
    slots: int
    running: dict[int, Ticket] = field(default_factory=dict)
    closed_for: int | None = None
    """The suspect that has this worker to itself."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A decision: this task goes to that worker now."""

    task_id: int
    worker: str


class Scheduler:
    """State of all tasks and workers; used from one thread."""

    def __init__(self, *, max_waiting: int, max_waiting_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._queue: list[tuple[bool, int, float, int]] = []
        self._waiting: dict[int, Ticket] = {}
        self._waiting_bytes = 0
        self._suspects: set[int] = set()
        self._workers: dict[str, _Worker] = {}

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Tasks that run."""
        return sum(len(worker.running) for worker in self._workers.values())

    def offer(self, ticket: Ticket) -> None:
        """A new task. Raises Overloaded where the queue is full."""
        free = sum(worker.slots - len(worker.running) for worker in self._workers.values())
        if self.waiting >= self._max_waiting + max(0, free):
            raise Overloaded(f"{self.waiting} tasks are waiting, which is the limit", retry_after_s=1.0)
        if self._waiting and self._waiting_bytes + ticket.size_bytes > self._max_waiting_bytes:
            raise Overloaded("the tasks that wait hold as much memory as they may", retry_after_s=1.0)
        self._enqueue(ticket)

    def discard(self, task_id: int) -> bool:
        """The caller left. True where the task was waiting and is now forgotten; a running one goes on to its end."""
        ticket = self._waiting.pop(task_id, None)
        if ticket is None:
            return False
        self._waiting_bytes -= ticket.size_bytes
        self._suspects.discard(task_id)
        return True

    def worker_ready(self, name: str, slots: int) -> None:
        """A worker has come up, empty."""
        self._workers[name] = _Worker(slots)

    def worker_lost(self, name: str) -> list[int]:
        """A worker is gone. Gives the tasks that are broken; its other tasks wait again, as suspects."""
        worker = self._workers.pop(name, None)
        broken = []
        for ticket in worker.running.values() if worker else ():
            if ticket.id in self._suspects:
                self._suspects.discard(ticket.id)
                broken.append(ticket.id)
            else:
                self._suspects.add(ticket.id)
                self._enqueue(ticket)
        return broken

    def finished(self, worker_name: str, task_id: int) -> None:
        """A worker has answered a task."""
        worker = self._workers[worker_name]
        worker.running.pop(task_id, None)
        self._suspects.discard(task_id)
        if worker.closed_for == task_id:
            worker.closed_for = None

    def assign(self) -> Iterator[Assignment]:
        """Every task that can go to a worker now, best first."""
        while (ticket := self._first()) is not None:
            name = self._place(ticket)
            if name is None:
                return
            heapq.heappop(self._queue)
            del self._waiting[ticket.id]
            self._waiting_bytes -= ticket.size_bytes
            worker = self._workers[name]
            worker.running[ticket.id] = ticket
            if ticket.id in self._suspects:
                worker.closed_for = ticket.id
            yield Assignment(ticket.id, name)

    def _enqueue(self, ticket: Ticket) -> None:
        self._waiting[ticket.id] = ticket
        self._waiting_bytes += ticket.size_bytes
        fresh = ticket.id not in self._suspects
        heapq.heappush(self._queue, (fresh, ticket.priority, ticket.deadline, ticket.id))

    def _first(self) -> Ticket | None:
        while self._queue and self._queue[0][3] not in self._waiting:
            heapq.heappop(self._queue)
        return self._waiting[self._queue[0][3]] if self._queue else None

    def _place(self, ticket: Ticket) -> str | None:
        """The worker with the most room; for a suspect an empty one."""
        alone = ticket.id in self._suspects
        best, room = None, 0
        for name, worker in self._workers.items():
            free = worker.slots - len(worker.running)
            if worker.closed_for is None and free > room and not (alone and worker.running):
                best, room = name, free
        return best
