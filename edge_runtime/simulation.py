"""A node in virtual time: the real scheduler over devices that take as long as timing.py says.

What is left out: the network, the gateway's own work, memory bandwidth, and the cores that a TPU's decoding takes from
the CPU's own tasks. Everything is deterministic: the same requests give the same outcomes.
"""

import heapq
import itertools
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge_runtime.errors import DeadlineExceeded, Overloaded
from edge_runtime.scheduler import Assignment, Priority, Reason, Ticket
from edge_runtime.timing import Bus, ModelProfile, TimedTpu, load_s, run_s
from edge_runtime.wire import ModelCost

TPU_SLOTS = 2
"""As a node has it: one thread decodes while the other's invocation runs."""

End = Literal["answered", "late", "expired", "refused"]
"""`late`: answered after its deadline. `expired`: it passed while the request waited, which was then forgotten."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a request for a model takes. `host_s`: decoding and all else beside the model, on a core. `cpu_s`: one
    invocation on one core. `invocations`: more than one where a picture is cut into tiles.
    """

    profile: ModelProfile
    cpu_s: float
    host_s: float = 0.0
    invocations: int = 1


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one kind: `rate_per_s` on average, at random times (a Poisson process) or at equal intervals."""

    model: str
    rate_per_s: float
    deadline_s: float
    tenant: str = ""
    priority: Priority = Priority.INTERACTIVE
    pattern: Literal["poisson", "regular"] = "poisson"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `at`: seconds from the start."""

    at: float
    stream: Stream


@dataclass(slots=True)
class Outcome:
    """What became of a request. Times are seconds from the start, 0 where there is none."""

    request: Request
    end: End = "refused"
    device: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def latency_s(self) -> float:
        """From the request to its answer."""
        return self.ended - self.request.at


class SimulatedDevice(ABC):
    """A device that knows what a task takes. `busy_s`: how long it worked so far."""

    accelerator = False

    def __init__(self, name: str, slots: int, work: Mapping[str, Work]) -> None:
        self.name = name
        self.slots = slots
        self.work = work
        self.busy_s = 0.0

    @abstractmethod
    def costs(self) -> dict[str, ModelCost]:
        """What its worker would report of its models."""

    @abstractmethod
    def begin(self, model: str, now: float) -> float:
        """A task starts in one of its slots; gives the time at which it ends."""

    @property
    def parallel(self) -> int:
        """How many tasks it really works on at once."""
        return 1

    @property
    def reloads(self) -> int:
        """How often it took in a model's parameters."""
        return 0


class SimulatedTpu(SimulatedDevice):
    """An Edge TPU: invocations one after the other, in the order in which their tasks started."""

    accelerator = True

    def __init__(self, name: str, bus: Bus, work: Mapping[str, Work], *, slots: int = TPU_SLOTS) -> None:
        super().__init__(name, slots, work)
        self._bus = bus
        self._tpu = TimedTpu(bus)
        self._free_at = 0.0

    @property
    def reloads(self) -> int:
        return self._tpu.reloads

    def costs(self) -> dict[str, ModelCost]:
        alone = len(self.work) == 1
        return {
            model: ModelCost(run_s(work.profile, self._bus),
                             0.0 if alone or work.profile.group else load_s(work.profile, self._bus))
            for model, work in self.work.items()
        }

    def begin(self, model: str, now: float) -> float:
        work = self.work[model]
        at = max(now + work.host_s, self._free_at)
        for _ in range(work.invocations):
            took_s = self._tpu.run(work.profile, at).total_s
            self.busy_s += took_s
            at += took_s
        self._free_at = at
        return at


class SimulatedCpu(SimulatedDevice):
    """A CPU: one task a core."""

    @property
    def parallel(self) -> int:
        return self.slots

    def costs(self) -> dict[str, ModelCost]:
        return {model: ModelCost(work.cpu_s) for model, work in self.work.items()}

    def begin(self, model: str, now: float) -> float:
        work = self.work[model]
        took_s = work.host_s + work.invocations * work.cpu_s
        self.busy_s += took_s
        return now + took_s


class Policy(Protocol):
    """What the simulation needs of a scheduler."""

    def worker_ready(self, name: str, slots: int, costs: Mapping[str, ModelCost], accelerator: bool) -> None:
        """A device has come up."""

    def offer(self, ticket: Ticket, now: float) -> None:
        """A new task; raises Overloaded or DeadlineExceeded."""

    def discard(self, task_id: int) -> bool:
        """Its caller has left; whether it was still waiting."""

    def finished(self, worker_name: str, task_id: int, now: float) -> object:
        """It was answered."""

    def assign(self, now: float) -> Iterator[Assignment]:
        """What starts now."""


@dataclass(slots=True)
class Fifo:
    """First come, first served, by the first device that is free: what there is to beat. Refuses only when full."""

    max_waiting: int
    _queue: deque[Ticket] = field(default_factory=deque)
    _free: dict[str, int] = field(default_factory=dict)
    _models: dict[str, set[str]] = field(default_factory=dict)
    _waiting: set[int] = field(default_factory=set)

    def worker_ready(self, name: str, slots: int, costs: Mapping[str, ModelCost], accelerator: bool) -> None:
        """A device has come up; those that come first are asked first."""
        del accelerator
        self._free[name] = slots
        self._models[name] = set(costs)

    def offer(self, ticket: Ticket, now: float) -> None:
        """A new task."""
        del now
        if len(self._waiting) >= self.max_waiting + sum(self._free.values()):
            raise Overloaded("full", retry_after_s=1.0)
        self._waiting.add(ticket.id)
        self._queue.append(ticket)

    def discard(self, task_id: int) -> bool:
        """Its caller has left."""
        waiting = task_id in self._waiting
        self._waiting.discard(task_id)
        return waiting

    def finished(self, worker_name: str, task_id: int, now: float) -> None:
        """It was answered."""
        del task_id, now
        self._free[worker_name] += 1

    def assign(self, now: float) -> Iterator[Assignment]:
        """The oldest tasks, as long as a device is free for the very oldest."""
        del now
        while self._queue:
            first = self._queue[0]
            if first.id in self._waiting:
                able = (name for name, free in self._free.items() if free and first.model in self._models[name])
                name = next(able, None)
                if name is None:
                    return
                self._free[name] -= 1
                self._waiting.discard(first.id)
                yield Assignment(first.id, name, Reason.FIRST_CHOICE)
            self._queue.popleft()


def arrivals(streams: Iterable[Stream], seconds: float, seed: int) -> list[Request]:
    """The requests of all streams in this time, in order. The same seed gives the same times."""
    chance = random.Random(seed)  # noqa: S311 # no secret
    requests = (Request(at, stream) for stream in streams for at in _times(stream, seconds, chance))
    return sorted(requests, key=lambda request: request.at)


def simulate(requests: Iterable[Request], devices: Sequence[SimulatedDevice], policy: Policy) -> list[Outcome]:
    """What becomes of each request. As in a node, one whose deadline passes while it waits is forgotten."""
    run = _Run(policy, {device.name: device for device in devices})
    for device in devices:
        policy.worker_ready(device.name, device.slots, device.costs(), device.accelerator)
    for request in requests:
        run.until(request.at)
        run.offer(request)
    run.until(float("inf"))
    return run.outcomes


@dataclass(slots=True)
class _Run:
    policy: Policy
    devices: Mapping[str, SimulatedDevice]
    outcomes: list[Outcome] = field(default_factory=list)
    _events: list[tuple[float, int, int, bool]] = field(default_factory=list)
    """Time, sequence, task, and whether it is done rather than past its deadline."""
    _sequence: "itertools.count[int]" = field(default_factory=itertools.count)

    def offer(self, request: Request) -> None:
        number, stream = len(self.outcomes), request.stream
        self.outcomes.append(Outcome(request))
        deadline = request.at + stream.deadline_s
        ticket = Ticket(number, stream.priority, deadline, 0, stream.tenant, stream.model)
        try:
            self.policy.offer(ticket, request.at)
        except (Overloaded, DeadlineExceeded):
            return
        self._at(deadline, number, done=False)
        self._assign(request.at)

    def until(self, time: float) -> None:
        while self._events and self._events[0][0] <= time:
            now, _, number, done = heapq.heappop(self._events)
            outcome = self.outcomes[number]
            if done:
                outcome.ended = now
                outcome.end = "answered" if outcome.latency_s <= outcome.request.stream.deadline_s else "late"
                self.policy.finished(outcome.device, number, now)
            elif self.policy.discard(number):
                outcome.end = "expired"
            self._assign(now)

    def _assign(self, now: float) -> None:
        for assignment in self.policy.assign(now):
            outcome = self.outcomes[assignment.task_id]
            outcome.device, outcome.started = assignment.worker, now
            ends = self.devices[assignment.worker].begin(outcome.request.stream.model, now)
            self._at(ends, assignment.task_id, done=True)

    def _at(self, time: float, number: int, *, done: bool) -> None:
        heapq.heappush(self._events, (time, next(self._sequence), number, done))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies (nearest rank); 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _times(stream: Stream, seconds: float, chance: random.Random) -> Iterator[float]:
    period_s = 1 / stream.rate_per_s
    at = chance.random() * period_s if stream.pattern == "regular" else chance.expovariate(stream.rate_per_s)
    while at < seconds:
        yield at
        at += period_s if stream.pattern == "regular" else chance.expovariate(stream.rate_per_s)
