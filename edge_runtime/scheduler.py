"""Which task runs where and when: events in, decisions out. No clock, no process, no I/O.

Rules
 1. At most `max_waiting` tasks and `max_waiting_bytes` bytes wait; one more is refused at once (Overloaded). Where
    several tenants wait, one that holds less than an equal share of the places is let in until a quarter more than
    `max_waiting` wait: a flood of one tenant doesn't shut the door on the others.
 2. A deadline that no worker could meet if it were idle is refused (DeadlineExceeded), and so is one that the tasks
    ahead leave no room for (Overloaded; admission.py says how much). What isn't known yet refuses nothing.
 3. A worker holds at most as many tasks as it has slots. One that is alone is given a few more (`ahead`), so that its threads
    needn't wait while an answer goes out and the next task comes in: of INTERACTIVE, and what rule 4 owes a lower class. LIVE
    takes no place ahead, where its frame would grow old, and while it or a suspect waits nobody does.
 4. Suspects go first (rule 11), then LIVE before INTERACTIVE before BATCH. While a lower class waits for a worker, it
    gets at least one in `lower_class_every` of that worker's picks (suspects not counted), unless rule 9 leaves it to
    another one.
 5. Inside a class, tasks whose slack (time to the deadline, less what they take) is under `urgent_s` go first, earliest
    deadline first.
 6. Then a worker that must load parameters stays with the model that it holds, until another model has waited for
    `group_s`.
 7. Then the tenant that used the least device time in this class goes first (fairness.py).
 8. Tasks of one class, tenant and model always go earliest deadline first, then in order of arrival.
 9. A task goes to the worker that would be done with it first. A slower one (a CPU beside a TPU, or a TPU that holds
    another model) takes a task only when the faster ones' whole backlog takes longer than it needs, and only one whose
    deadline it can meet; a TPU at work leaves a task to a worker that is done sooner. What needs no model is for
    workers that are no accelerator.
10. A task that is handed back, or whose worker was lost through its own fault, waits again in its old place. It avoids
    the workers that it was lost with, as long as another one serves its model.
11. Where a lost worker's task may have been the cause, its tasks become suspects: each is run once more, alone on an
    otherwise empty worker, so that the one at fault takes no other along. While none is empty, one worker takes nothing
    new.
12. A suspect whose worker is lost over it again is broken: it is handed back as such and never run again.
13. A task whose caller left is forgotten while it waits. One that was stopped while it ran is charged to its tenant, and
    says nothing of how long others take.

A task moves   waiting -> running -> done
                  ^          |
                  +----------+-> broken
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edge_runtime.admission import delay_s, fair_work_s, fastest_s, least_s, room_s, work_s
from edge_runtime.errors import DeadlineExceeded, Overloaded
from edge_runtime.estimates import Estimates
from edge_runtime.fairness import Shares
from edge_runtime.placement import (
    Backlogs,
    Reason,
    Worker,
    able,
    faster_ones,
    reason_to_run,
    reason_when_first,
)
from edge_runtime.tickets import Priority, Task, Ticket, Waiting
from edge_runtime.wire import ModelCost

__all__ = ["Assignment", "Priority", "Reason", "Rules", "Scheduler", "Ticket"]

RESERVE = 1.25
"""How many times `max_waiting` may wait once tenants with less than an equal share are let in."""

AGE_EVERY_S = 1.0
"""How often old estimates are let fall."""

LEAST_RETRY_S = 0.1
UNKNOWN_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of rules 4 to 6. `lower_class_every`: picks, 3 at least; the others are seconds."""

    lower_class_every: int = 16
    urgent_s: float = 0.03
    group_s: float = 0.3

    def __post_init__(self) -> None:
        if self.lower_class_every < 3 or self.urgent_s < 0 or self.group_s < 0:
            raise ValueError(f"lower_class_every is 3 at least and no time is negative: {self}")


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Assignment:
    """A decision: this task goes to that worker now."""

    task_id: int
    worker: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Pick:
    task: Task
    worker: Worker
    reason: Reason


class Scheduler:
    """State of all tasks and workers; used from one thread. `now` is a time of the clock of the deadlines, in
    seconds.
    """

    def __init__(self, *, max_waiting: int, max_waiting_bytes: int, rules: Rules = DEFAULT_RULES) -> None:
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._rules = rules
        self._orders = itertools.count()
        self._now = self._aged_at = 0.0
        self._tasks: dict[int, Task] = {}
        """Those that wait, suspects included."""
        self._waiting_bytes = 0
        self._places: Counter[str] = Counter()
        """Those that wait, by tenant."""
        self._waiting = tuple(Waiting() for _ in Priority)
        self._shares = tuple(Shares() for _ in Priority)
        self._suspects: dict[int, Task] = {}
        self._workers: dict[str, Worker] = {}

    @property
    def waiting(self) -> int:
        """Tasks that no worker has."""
        return len(self._tasks)

    @property
    def ahead(self) -> int:
        """Tasks that a worker was given, and that wait there."""
        return sum(max(0, len(worker.running) - worker.slots) for worker in self._workers.values())

    @property
    def running(self) -> int:
        """Tasks in slots."""
        return sum(min(len(worker.running), worker.slots) for worker in self._workers.values())

    def offer(self, ticket: Ticket, now: float) -> None:
        """A new task. Raises Overloaded or DeadlineExceeded where it is refused (rules 1 and 2)."""
        self._now = now
        self._check_room(ticket)
        self._check_deadline(ticket, now)
        self._shares[ticket.priority].enter(ticket.tenant)
        self._enqueue(Task(ticket, next(self._orders)))

    def discard(self, task_id: int) -> bool:
        """The caller left. True where the task was waiting and is now forgotten; a running one goes on to its end."""
        task = self._tasks.get(task_id)
        if task is None:
            return False
        self._dequeue(task)
        self._leave(task)
        return True

    def worker_ready(
        self, name: str, slots: int, costs: Mapping[str, ModelCost], accelerator: bool, *, ahead: int = 0
    ) -> None:
        """A worker has come up, empty. `costs`: the models that it serves; `ahead`: rule 3. Raises ValueError where it wasn't
        lost before.
        """
        if name in self._workers:
            raise ValueError(f"worker {name} is in service already")
        self._workers[name] = Worker(name, slots, accelerator, Estimates(costs), ahead)

    def worker_costs(self, name: str, costs: Mapping[str, ModelCost]) -> None:
        """A worker serves other models from now on, or other versions of them."""
        self._workers[name].change(costs)

    def worker_lost(self, name: str, *, blame_input: bool) -> list[int]:
        """A worker is gone. Gives the tasks that are broken; its other tasks wait again, as suspects where
        `blame_input` says that a task may have been the cause (rules 10 to 12).
        """
        worker = self._workers.pop(name, None)
        broken = []
        for task in worker.running.values() if worker else ():
            task.failed_on |= {name}
            if not blame_input:
                self._shares[task.ticket.priority].charge(task.ticket.tenant, -task.expected_s)
            if blame_input and task.suspect:
                self._leave(task)
                broken.append(task.ticket.id)
            else:
                task.suspect |= blame_input
                self._enqueue(task)
        return broken

    def finished(self, worker_name: str, task_id: int, now: float, *, abandoned: bool = False) -> float:
        """A worker has answered a task, or stopped one that was `abandoned`; gives the seconds of device time that it took."""
        self._now = now
        worker = self._workers[worker_name]
        task = self._release(worker, task_id)
        if task is None:
            return 0.0
        busy_s = worker.abandoned(task, now) if abandoned else worker.answered(task, now)
        self._shares[task.ticket.priority].charge(task.ticket.tenant, busy_s - task.expected_s)
        self._leave(task)
        return busy_s

    def returned(self, worker_name: str, task_id: int, model: str) -> None:
        """A worker doesn't serve the model that the task turned out to need: it waits for one that does."""
        task = self._release(self._workers[worker_name], task_id)
        if task is not None:
            self._shares[task.ticket.priority].charge(task.ticket.tenant, -task.expected_s)
            task.ticket = replace(task.ticket, model=model)
            self._enqueue(task)

    def assign(self, now: float) -> Iterator[Assignment]:
        """Every task that can go to a worker now, best first. To be asked again after each event, and from time to time
        while tasks wait: a worker that is late drives tasks to others.
        """
        self._now = now
        if now - self._aged_at > AGE_EVERY_S:
            self._aged_at = now
            for worker in self._workers.values():
                worker.age(now)
        picks = itertools.chain(self._suspect_picks(now), self._picks(now))
        for pick in picks:
            self._start(pick, now)
            yield Assignment(pick.task.ticket.id, pick.worker.name, pick.reason)

    def expected_wait_s(self, priority: Priority = Priority.INTERACTIVE, model: str | None = "") -> float:
        """How long a new task would wait for a worker, in seconds; 0 where nothing is known of the tasks ahead."""
        workers = self._workers.values()
        return delay_s(workers, model, self._now) + work_s(workers, self._waiting[: priority + 1], model)

    def resident(self, worker_name: str) -> str:
        """The model whose parameters a worker holds; empty where that isn't known, or there is no such worker."""
        worker = self._workers.get(worker_name)
        return worker.resident if worker else ""

    def serves(self, model: str | None) -> bool:
        """Whether a worker in service runs tasks of the model."""
        return any(model in worker.cost_s for worker in self._workers.values())

    def _enqueue(self, task: Task) -> None:
        ticket = task.ticket
        self._tasks[ticket.id] = task
        self._waiting_bytes += ticket.size_bytes
        self._places[ticket.tenant] += 1
        if task.suspect:
            self._suspects[ticket.id] = task
        else:
            self._waiting[ticket.priority].add(task)

    def _dequeue(self, task: Task) -> None:
        ticket = task.ticket
        del self._tasks[ticket.id]
        self._waiting_bytes -= ticket.size_bytes
        self._places[ticket.tenant] -= 1
        if not self._places[ticket.tenant]:
            del self._places[ticket.tenant]
        if task.suspect:
            del self._suspects[ticket.id]
        else:
            self._waiting[ticket.priority].remove(task)

    def _leave(self, task: Task) -> None:
        self._shares[task.ticket.priority].leave(task.ticket.tenant)

    def _release(self, worker: Worker, task_id: int) -> Task | None:
        if worker.closed_for == task_id:
            worker.closed_for = None
        return worker.release(task_id, self._now)

    def _check_room(self, ticket: Ticket) -> None:
        free = sum(max(0, worker.free) for worker in self._workers.values())
        if self.waiting >= self._max_waiting + free and not self._may_squeeze_in(ticket.tenant, free):
            message = f"{self.waiting} tasks are waiting, which is the limit"
        elif self._tasks and self._waiting_bytes + ticket.size_bytes > self._max_waiting_bytes:
            message = "the tasks that wait hold as much memory as they may"
        else:
            return
        drained_s = self.expected_wait_s(ticket.priority, ticket.model)
        raise Overloaded(message, retry_after_s=max(LEAST_RETRY_S, drained_s or UNKNOWN_RETRY_S))

    def _may_squeeze_in(self, tenant: str, free: int) -> bool:
        others = len(self._places) - (tenant in self._places)
        below_share = self._places[tenant] * (others + 1) < self._max_waiting if others else False
        return below_share and self.waiting < int(self._max_waiting * RESERVE) + free

    def _check_deadline(self, ticket: Ticket, now: float) -> None:
        workers, ahead = self._workers.values(), self._waiting[: ticket.priority + 1]
        slack_s = ticket.deadline - now
        if slack_s <= least_s(workers, ticket.model):
            raise DeadlineExceeded(f"no device answers within {max(0.0, slack_s):.3g} s")
        busy_s = delay_s(workers, ticket.model, now)
        left_s = slack_s - busy_s - fastest_s(workers, ticket.model)
        most_s = min(room_s(workers, ticket.model, slack_s), left_s)
        if work_s(workers, ahead, ticket.model) <= most_s:
            return
        drained_s = fair_work_s(workers, ahead, self._shares[ticket.priority], ticket)
        if busy_s + drained_s > 0 and drained_s > most_s:
            raise Overloaded(
                f"the tasks ahead take {busy_s + drained_s:.2g} s, too long for this deadline",
                retry_after_s=max(LEAST_RETRY_S, busy_s + drained_s),
            )

    def _suspect_picks(self, now: float) -> Iterator[_Pick]:
        for worker in self._workers.values():
            worker.held = False
        held = False
        for task in sorted(self._suspects.values(), key=lambda t: (t.ticket.priority, t.ticket.deadline, t.order)):
            model = task.ticket.model
            candidates = able(self._workers.values(), model, task.failed_on)
            empty = [worker for worker in candidates if worker.free > 0 and not worker.running]
            if empty:
                worker = min(empty, key=lambda worker: (model is None and worker.accelerator, worker.cost_s[model]))
                if any(other not in empty for other in faster_ones(worker, candidates, model)):
                    yield _Pick(task, worker, Reason.SPILLED)
                else:
                    yield _Pick(task, worker, reason_when_first(worker, self._workers.values(), model, task.failed_on))
            elif candidates and not held:
                min(candidates, key=lambda worker: worker.remaining_s(now)).held = held = True

    def _picks(self, now: float) -> Iterator[_Pick]:
        while len(self._tasks) > len(self._suspects):
            free = [worker for worker in self._workers.values() if worker.free > 0]
            free.sort(key=lambda worker: (not worker.accelerator, len(worker.running) / worker.slots))
            pick = next((pick for worker in free if (pick := self._pick(worker, Priority, now)) is not None), None)
            pick = pick or self._pick_ahead(now)
            if pick is None:
                return
            yield pick

    def _pick_ahead(self, now: float) -> _Pick | None:
        if len(self._workers) != 1 or self._suspects or self._waiting[Priority.LIVE].lanes:
            return None
        (worker,) = self._workers.values()
        given = len(worker.running) - worker.slots
        return self._pick(worker, (Priority.INTERACTIVE,), now) if worker.open and 0 <= given < worker.ahead else None

    def _pick(self, worker: Worker, classes: Iterable[Priority], now: float) -> _Pick | None:
        for priority in (*self._due(worker), *classes):
            if self._waiting[priority].lanes and (pick := self._choose(worker, priority, now)) is not None:
                return pick
        return None

    def _due(self, worker: Worker) -> Iterable[Priority]:
        """Two lower classes may be due at once: hence two picks early."""
        return [priority for priority in (Priority.INTERACTIVE, Priority.BATCH)
                if worker.passed_over[priority] >= self._rules.lower_class_every - 2]

    def _choose(self, worker: Worker, priority: Priority, now: float) -> _Pick | None:
        """The task of the class that the worker should run now (rules 5 to 9)."""
        workers, used_s = tuple(self._workers.values()), self._shares[priority].used_s
        backlogs = Backlogs(worker, self._waiting[: priority + 1], now)
        group_lasts = worker.others_since is None or now - worker.others_since < self._rules.group_s
        stay = worker.resident if worker.swaps and group_lasts else ""
        best, reason_for_best = None, Reason.FIRST_CHOICE
        for lane in self._waiting[priority].lanes.values():
            reason = reason_to_run(worker, workers, lane, backlogs)
            if reason is None:
                continue
            latest = now + worker.answer_s[lane.model]
            urgent = latest + self._rules.urgent_s
            group = 1 if stay and lane.model == stay else 2
            for tenant, entries in lane.tenants.items():
                first = entries[0]
                if first[0] < latest and reason is Reason.SPILLED:
                    continue
                rank = (0, 0.0, first) if first[0] < urgent else (group, used_s[tenant], first)
                if best is None or rank < best:
                    best, reason_for_best = rank, reason
        return None if best is None else _Pick(best[2][2], worker, reason_for_best)

    def _start(self, pick: _Pick, now: float) -> None:
        task, worker, ticket = pick.task, pick.worker, pick.task.ticket
        waiting = {tenant for lane in self._waiting[ticket.priority].lanes.values() for tenant in lane.tenants}
        self._shares[ticket.priority].pick(ticket.tenant, worker.cost_s[ticket.model], waiting | {ticket.tenant})
        self._dequeue(task)
        worker.begin(task, now)
        if task.suspect:
            worker.closed_for = ticket.id
        else:
            for priority in Priority:
                passed = priority != ticket.priority and self._waits_for(worker, priority)
                worker.passed_over[priority] = worker.passed_over[priority] + 1 if passed else 0
        if ticket.model:
            self._go_on_with(worker, ticket.model, ticket.priority, now)

    def _go_on_with(self, worker: Worker, model: str, priority: Priority, now: float) -> None:
        if model != worker.resident:
            worker.hold(model)
            worker.others_since = None
        lanes = self._waiting[priority].lanes.values()
        others = any(lane.model != model and lane.model in worker.cost_s for lane in lanes)
        if not others:
            worker.others_since = None
        elif worker.others_since is None:
            worker.others_since = now

    def _waits_for(self, worker: Worker, priority: Priority) -> bool:
        return any(lane.model in worker.cost_s for lane in self._waiting[priority].lanes.values())
