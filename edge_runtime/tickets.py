"""What the scheduler is told of a task, and the order in which tasks wait; nothing is decided here.

A class of priority has lanes (tasks that the same workers may run), a lane has tenants, and each tenant's tasks are
sorted by deadline.
"""

import enum
from bisect import bisect_left, insort
from dataclasses import dataclass, field


class Priority(enum.IntEnum):
    """Who goes first."""

    LIVE = 0
    INTERACTIVE = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the scheduler needs to know of a task. `deadline` is a time of the pool's monotonic clock, in seconds.

    `model`: the model that it needs; empty where the file's header has yet to tell; None where it needs none (drawing).
    """

    id: int
    priority: Priority
    deadline: float
    size_bytes: int
    tenant: str = ""
    model: str | None = ""


@dataclass(slots=True)
class Task:
    """A ticket on its way. `order`: its place by arrival, which it keeps when it comes back. Times are seconds."""

    ticket: Ticket
    order: int
    failed_on: frozenset[str] = frozenset()
    """Workers that were lost while they held it."""
    suspect: bool = False
    """Whether it may be what a worker was lost over."""
    started: float = 0.0
    expected_s: float = 0.0
    """How long it was expected to take when it started, `load_s` included."""
    load_s: float = 0.0
    """The part of it in which the worker takes the model's parameters in."""


Entry = tuple[float, int, Task]
"""Deadline, order, task: sorts by the first two, of which the second is unique."""


@dataclass(slots=True)
class Lane:
    """Tasks of one class that the same workers may run: they need the same model and failed on the same workers."""

    model: str | None
    failed_on: frozenset[str]
    tenants: dict[str, list[Entry]] = field(default_factory=dict)
    """Never an empty list."""
    size: int = 0


@dataclass(slots=True)
class Waiting:
    """The tasks of one class that wait, suspects left out."""

    lanes: dict[tuple[str | None, frozenset[str]], Lane] = field(default_factory=dict)
    """Never an empty lane."""

    def add(self, task: Task) -> None:
        """Puts a task into its place."""
        ticket = task.ticket
        key = (ticket.model, task.failed_on)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(*key)
        insort(lane.tenants.setdefault(ticket.tenant, []), (ticket.deadline, task.order, task))
        lane.size += 1

    def remove(self, task: Task) -> None:
        """Takes it out again."""
        ticket = task.ticket
        key = (ticket.model, task.failed_on)
        lane = self.lanes[key]
        entries = lane.tenants[ticket.tenant]
        del entries[bisect_left(entries, (ticket.deadline, task.order))]  # a shorter tuple sorts before its longer one
        lane.size -= 1
        if not entries:
            del lane.tenants[ticket.tenant]
        if not lane.size:
            del self.lanes[key]
