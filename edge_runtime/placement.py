"""Which worker runs a task: the one that would be done with it first. Rules 9 to 11 of scheduler.py."""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_runtime.estimates import WEIGHT, Estimates
from edge_runtime.tickets import Lane, Priority, Task, Waiting
from edge_runtime.wire import ModelCost


class Reason(enum.StrEnum):
    """Why a task went to this worker."""

    FIRST_CHOICE = "first_choice"
    """It is the fastest one in service for the task."""
    SPILLED = "spilled"
    """A faster one is busy for longer than this one needs."""
    AVOIDED = "avoided"
    """A faster one was lost while it held this very task."""


@dataclass(slots=True, eq=False)
class Worker:
    """A device's process as the scheduler sees it. Times are seconds."""

    name: str
    slots: int
    accelerator: bool
    estimates: Estimates
    ahead: int = 0
    """How many tasks it is given beside those in its slots, while it is alone."""
    running: dict[int, Task] = field(default_factory=dict)
    """In the order in which they came: those in its slots first, then those given ahead."""
    closed_for: int | None = None
    """The suspect that has this worker to itself."""
    resident: str = ""
    """The model that ran last; empty where it isn't known."""
    others_since: float | None = None
    """Since when another model waits for it while it goes on with the resident one."""
    loading_s: float = 0.0
    """What a task has taken for loading lately, a mean."""
    passed_over: list[int] = field(default_factory=lambda: [0] * len(Priority))
    """By class: picks in a row that went to another class while this one was waiting for this worker."""
    held: bool = False
    """Whether it takes nothing new, so that a suspect can have it to itself."""
    last_answer_at: float = 0.0
    cost_s: dict[str | None, float] = field(init=False)
    """For how long a task keeps the device from others, loading included, by model. Holds every model that it serves,
    "" (one that isn't known yet, which it can always try) and None."""
    answer_s: dict[str | None, float] = field(init=False)
    """What a task takes from its start to its answer, loading included, by model."""
    swaps: bool = field(init=False)
    """Whether a change of model costs it time."""

    def __post_init__(self) -> None:
        self._reckon()

    @property
    def open(self) -> bool:
        """Whether it is there for ordinary tasks, not for a suspect."""
        return not self.held and self.closed_for is None

    @property
    def free(self) -> int:
        """How many more tasks it takes now."""
        return self.slots - len(self.running) if self.open else 0

    @property
    def parallel(self) -> int:
        """On how many tasks it works at once: an accelerator on one, whose decoding the others' threads do
        meanwhile.
        """
        return 1 if self.accelerator else self.slots

    def change(self, costs: Mapping[str, ModelCost]) -> None:
        """It serves other models."""
        self.estimates.change(costs)
        self.hold(self.resident if self.resident in costs else "")

    def begin(self, task: Task, now: float) -> None:
        """A task starts."""
        model = task.ticket.model
        task.started, task.expected_s = now, self.cost_s[model]
        task.load_s = task.expected_s - self.estimates.run_s[model]
        self.running[task.ticket.id] = task
        self.loading_s += WEIGHT * (task.load_s - self.loading_s)

    def release(self, task_id: int, now: float) -> Task | None:
        """It holds a task no more. The first of those given ahead starts only now, where that one was in a slot."""
        if task_id not in self.running:
            return None
        order = list(self.running)
        if len(order) > self.slots and order.index(task_id) < self.slots:
            self.running[order[self.slots]].started = now
        return self.running.pop(task_id)

    def answered(self, task: Task, now: float) -> float:
        """A task is done; gives the seconds of device time that it took."""
        answer_s = max(0.0, now - task.started)
        busy_s = self.abandoned(task, now)
        self.estimates.learn(task.ticket.model, busy_s - task.load_s, answer_s - task.load_s, now)
        if task.ticket.model == "":
            self.resident = ""
        self._reckon()
        return busy_s

    def abandoned(self, task: Task, now: float) -> float:
        """A task was stopped on its way, which says nothing of how long others take; gives the seconds of device time that
        it took.
        """
        answer_s = max(0.0, now - task.started)
        busy_s = min(answer_s, max(0.0, now - self.last_answer_at)) if self.accelerator else answer_s
        self.last_answer_at = now
        return busy_s

    def hold(self, model: str) -> None:
        """Its parameters are those of this model now."""
        self.resident = model
        self._reckon()

    def age(self, now: float) -> None:
        """Lets old estimates fall."""
        self.estimates.age(now)
        self._reckon()

    def remaining_s(self, now: float) -> float:
        """Seconds of work in its slots. A task that is late is expected to be as late again."""
        total_s = 0.0
        for task in self.running.values():
            total_s += abs(task.started + task.expected_s - now)
        return total_s

    def delay_s(self, now: float) -> float:
        """Seconds until it can work on something new."""
        if self.accelerator:
            return self.remaining_s(now)
        if self.free > 0:
            return 0.0
        return min((abs(task.started + task.expected_s - now) for task in self.running.values()), default=0.0)

    def _reckon(self) -> None:
        estimates, resident = self.estimates, self.resident
        load_s = estimates.load_s
        self.cost_s = {model: run_s + (load_s[model] if model != resident else 0.0)
                       for model, run_s in estimates.run_s.items()}
        self.answer_s = {model: answer_s + (load_s[model] if model != resident else 0.0)
                         for model, answer_s in estimates.answer_s.items()}
        self.swaps = any(load_s.values())


def able(workers: Iterable[Worker], model: str | None, failed_on: frozenset[str]) -> list[Worker]:
    """Those that may run a task that needs the model and was lost with the workers in `failed_on`."""
    serving = [worker for worker in workers if model in worker.cost_s]
    if not failed_on:
        return serving
    return [worker for worker in serving if worker.name not in failed_on] or serving


def reason_to_run(
    worker: Worker, workers: Sequence[Worker], lane: Lane, backlogs: "Backlogs"
) -> Reason | None:
    """Why this worker should run a task of the lane now; None where it shouldn't."""
    model = lane.model
    if model not in worker.cost_s:
        return None
    if len(workers) == 1:
        return Reason.FIRST_CHOICE
    candidates = able(workers, model, lane.failed_on) if lane.failed_on else workers
    if worker not in candidates:
        return None
    if worker.running and _sooner_elsewhere(worker, candidates, model, backlogs.now):
        return None
    faster = faster_ones(worker, candidates, model)
    if faster:
        return Reason.SPILLED if backlogs.of(faster) > worker.cost_s[model] else None
    return reason_when_first(worker, workers, model, lane.failed_on)


def reason_when_first(
    worker: Worker, workers: Iterable[Worker], model: str | None, failed_on: frozenset[str]
) -> Reason:
    """The reason where no faster worker may run the task."""
    avoided = failed_on and any(other.name in failed_on for other in faster_ones(worker, workers, model))
    return Reason.AVOIDED if avoided else Reason.FIRST_CHOICE


def faster_ones(worker: Worker, workers: Iterable[Worker], model: str | None) -> list[Worker]:
    """Those that would be done with a task of the model sooner if all were idle; with drawing, those that are no
    accelerator.
    """
    own_s = worker.cost_s[model]
    if model is None and worker.accelerator:
        return [other for other in workers if not other.accelerator or other.cost_s[model] < own_s]
    return [other for other in workers if other is not worker and other.cost_s.get(model, own_s) < own_s
            and not (model is None and other.accelerator)]


def _sooner_elsewhere(worker: Worker, workers: Iterable[Worker], model: str | None, now: float) -> bool:
    """Whether another worker would be done with what it runs and a task before this one is with what it runs and the
    task.
    """
    if not worker.accelerator:
        return False
    end_s = worker.remaining_s(now) + worker.cost_s[model]
    return any(
        other is not worker and other.open and other.delay_s(now) + other.cost_s[model] < end_s
        for other in workers if model in other.cost_s
    )


@dataclass(slots=True)
class Backlogs:
    """How long faster workers are busy before one worker should help them. `ahead`: the classes of tasks that count."""

    worker: Worker
    ahead: Sequence[Waiting]
    now: float
    _known_s: dict[tuple[str, ...], float] = field(default_factory=dict)

    def of(self, faster: Sequence[Worker]) -> float:
        """Seconds until these are through with what they run and with all that waits for them rather than for
        `worker`.
        """
        key = tuple(other.name for other in faster)
        known_s = self._known_s.get(key)
        if known_s is None:
            work_s = sum(other.remaining_s(self.now) for other in faster)
            for waiting in self.ahead:
                for lane in waiting.lanes.values():
                    work_s += self._share_s(faster, lane)
            known_s = self._known_s[key] = work_s / sum(other.parallel for other in faster)
        return known_s

    def _share_s(self, faster: Sequence[Worker], lane: Lane) -> float:
        """What the one of them that is best at the lane needs for it; 0 where `worker` is at least as good."""
        model = lane.model
        own_s = math.inf if model is None and self.worker.accelerator else self.worker.cost_s.get(model, math.inf)
        best_s = math.inf
        for other in faster:
            cost_s = other.cost_s.get(model, math.inf)
            if cost_s < own_s:
                best_s = min(best_s, cost_s + (lane.size - 1) * other.estimates.run_s[model])
        return 0.0 if best_s == math.inf else best_s
