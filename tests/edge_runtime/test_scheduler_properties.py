"""What holds of the scheduler whatever comes: arrivals, deadlines, tenants, crashes and changes in any order."""

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_runtime.errors import DeadlineExceeded, Overloaded
from edge_runtime.scheduler import Assignment, Priority, Rules, Scheduler, Ticket
from edge_runtime.wire import ModelCost

MODELS = ("a", "b", "c")
TENANTS = ("one", "two", "three")
TPU = {model: ModelCost(0.004, 0.010) for model in MODELS}
RULES = Rules(lower_class_every=4, urgent_s=0.05, group_s=0.05)
MAX_WAITING, MAX_BYTES = 12, 100
LONGEST_S = 0.05
"""Of the tasks in the test of fair shares."""

tickets = st.builds(
    Ticket, id=st.just(0), priority=st.sampled_from(Priority), deadline=st.floats(0.02, 2.0),
    size_bytes=st.integers(0, 40), tenant=st.sampled_from(TENANTS), model=st.sampled_from((*MODELS, "", None)),
)
"""`deadline` counts from the offer."""

often = settings(max_examples=80, deadline=None, derandomize=True)




@dataclass
class Known:
    """What a caller knows of an accepted task."""

    ticket: Ticket
    order: int
    worker: str = ""
    failed_on: set[str] = field(default_factory=set)
    suspect: bool = False

    @property
    def place(self) -> tuple[float, int]:
        return self.ticket.deadline, self.order


class AnythingGoes(RuleBasedStateMachine):
    """Every event at any time, against a bookkeeper that knows only what callers and workers know."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = Scheduler(max_waiting=MAX_WAITING, max_waiting_bytes=MAX_BYTES, rules=RULES)
        self.now = 0.0
        self.ids = itertools.count(1)
        self.tasks: dict[int, Known] = {}
        self.workers: dict[str, tuple[int, set[str]]] = {}
        self.ends: Counter[int] = Counter()
        self.offered = 0

    @initialize()
    def begin(self) -> None:
        self.up("w0", 2, set(MODELS), accelerator=True)

    @rule(ticket=tickets)
    def offer(self, ticket: Ticket) -> None:
        ticket = replace(ticket, id=next(self.ids), deadline=self.now + ticket.deadline)
        waiting = [task.ticket for task in self.tasks.values() if not task.worker]
        free = sum(slots - len(self.on(name)) for name, (slots, _) in self.workers.items() if not self.alone(name))
        self.offered += 1
        try:
            self.scheduler.offer(ticket, self.now)
        except (Overloaded, DeadlineExceeded):
            self.ends[ticket.id] += 1
            return
        assert len(waiting) < MAX_WAITING * 1.25 + free
        if len(waiting) >= MAX_WAITING + free:
            own = sum(other.tenant == ticket.tenant for other in waiting)
            assert own < MAX_WAITING / len({ticket.tenant, *(other.tenant for other in waiting)})
        assert not waiting or sum(other.size_bytes for other in waiting) + ticket.size_bytes <= MAX_BYTES
        self.tasks[ticket.id] = Known(ticket, ticket.id)

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.tasks)))
        waiting = not self.tasks[number].worker
        assert self.scheduler.discard(number) == waiting
        if waiting:
            self.end(number)

    @rule(name=st.sampled_from(("w0", "w1", "w2")), slots=st.integers(1, 3), models=st.sets(st.sampled_from(MODELS)),
          accelerator=st.booleans())
    def worker_ready(self, name: str, slots: int, models: set[str], accelerator: bool) -> None:
        if name not in self.workers:
            self.up(name, slots, models, accelerator=accelerator)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), models=st.sets(st.sampled_from(MODELS)))
    def worker_costs(self, data: st.DataObject, models: set[str]) -> None:
        name = data.draw(st.sampled_from(sorted(self.workers)))
        self.scheduler.worker_costs(name, {model: TPU[model] for model in models})
        self.workers[name] = (self.workers[name][0], models)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), blame_input=st.booleans())
    def worker_lost(self, data: st.DataObject, blame_input: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.workers)))
        del self.workers[name]
        broken = self.scheduler.worker_lost(name, blame_input=blame_input)
        held = {number: task for number, task in self.tasks.items() if task.worker == name}
        assert set(broken) == {number for number, task in held.items() if blame_input and task.suspect}
        for number, task in held.items():
            task.worker = ""
            task.failed_on.add(name)
            task.suspect = task.suspect or blame_input
            if number in broken:
                self.end(number)

    @precondition(lambda self: any(task.worker for task in self.tasks.values()))
    @rule(data=st.data(), took_s=st.floats(0.0, 0.2), abandoned=st.booleans())
    def finished(self, data: st.DataObject, took_s: float, abandoned: bool) -> None:
        number = data.draw(st.sampled_from(sorted(n for n, task in self.tasks.items() if task.worker)))
        self.now += took_s
        busy_s = self.scheduler.finished(self.tasks[number].worker, number, self.now, abandoned=abandoned)
        assert 0.0 <= busy_s <= self.now
        self.end(number)

    @precondition(lambda self: any(task.worker and task.ticket.model == "" for task in self.tasks.values()))
    @rule(data=st.data())
    def returned(self, data: st.DataObject) -> None:
        unknown = sorted(n for n, task in self.tasks.items() if task.worker and task.ticket.model == "")
        number = data.draw(st.sampled_from(unknown))
        task = self.tasks[number]
        model = data.draw(st.sampled_from(MODELS))
        self.scheduler.returned(task.worker, number, model)
        task.worker, task.ticket = "", replace(task.ticket, model=model)

    @rule(passes_s=st.floats(0.0, 0.5))
    def assign(self, passes_s: float) -> None:
        self.now += passes_s
        for assignment in self.scheduler.assign(self.now):
            self.check(assignment)
            self.tasks[assignment.task_id].worker = assignment.worker

    @invariant()
    def every_task_is_counted_once(self) -> None:
        running = sum(bool(task.worker) for task in self.tasks.values())
        assert (self.scheduler.waiting, self.scheduler.running) == (len(self.tasks) - running, running)
        assert all(count == 1 for count in self.ends.values())
        assert len(self.ends) + len(self.tasks) == self.offered

    @invariant()
    def waits_are_never_nonsense(self) -> None:
        for priority in Priority:
            assert 0.0 <= self.scheduler.expected_wait_s(priority, "a") < 1e4

    def teardown(self) -> None:
        """Whatever happened, a worker that serves everything brings every task to its end."""
        for name in sorted(self.workers):
            for number in self.scheduler.worker_lost(name, blame_input=False):
                raise AssertionError(f"{number} was broken by a device's fault")
        self.workers.clear()
        for task in self.tasks.values():
            task.worker = ""
        self.up("last", 1, set(MODELS), accelerator=False)
        for _ in range(2 * len(self.tasks)):
            self.now += 0.01
            for assignment in self.scheduler.assign(self.now):
                self.scheduler.finished("last", assignment.task_id, self.now)
                self.end(assignment.task_id)
        assert not self.tasks
        assert (self.scheduler.waiting, self.scheduler.running) == (0, 0)

    def up(self, name: str, slots: int, models: set[str], *, accelerator: bool) -> None:
        self.scheduler.worker_ready(name, slots, {model: TPU[model] for model in models}, accelerator)
        self.workers[name] = (slots, models)

    def end(self, number: int) -> None:
        self.ends[number] += 1
        del self.tasks[number]

    def on(self, name: str) -> list[Known]:
        return [task for task in self.tasks.values() if task.worker == name]

    def alone(self, name: str) -> bool:
        return any(task.suspect for task in self.on(name))

    def able(self, task: Known) -> set[str]:
        model = task.ticket.model
        serving = {name for name, (_, models) in self.workers.items() if not model or model in models}
        return serving - task.failed_on or serving

    def check(self, assignment: Assignment) -> None:
        task, name = self.tasks[assignment.task_id], assignment.worker
        assert not task.worker, "it was waiting"
        assert name in self.able(task)
        assert len(self.on(name)) < self.workers[name][0], "there was a free slot"
        assert not self.alone(name), "a suspect has the worker to itself"
        assert not (task.suspect and self.on(name)), "a suspect runs alone"
        if task.suspect:
            return
        for other in self.tasks.values():
            same = (other.ticket.priority, other.ticket.tenant, other.ticket.model) == (
                task.ticket.priority, task.ticket.tenant, task.ticket.model)
            if same and not other.worker and not other.suspect and name in self.able(other):
                assert task.place <= other.place, "the earliest deadline of its kind goes first"


AnythingGoes.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None, derandomize=True)
TestAnythingGoes = AnythingGoes.TestCase


def one_worker(*, waiting: int = 1000, rules: Rules = RULES) -> Scheduler:
    made = Scheduler(max_waiting=waiting, max_waiting_bytes=1 << 40, rules=rules)
    made.worker_ready("tpu", 1, TPU, accelerator=True)
    return made


@dataclass
class Run:
    """One worker of one slot in virtual time, and what was waiting at each of its picks."""

    scheduler: Scheduler = field(default_factory=one_worker)
    now: float = 0.0
    waiting: dict[int, Ticket] = field(default_factory=dict)
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def offer(self, ticket: Ticket) -> Ticket | None:
        ticket = replace(ticket, id=next(self.ids), deadline=self.now + ticket.deadline)
        try:
            self.scheduler.offer(ticket, self.now)
        except (Overloaded, DeadlineExceeded):
            return None
        self.waiting[ticket.id] = ticket
        return ticket

    def pick(self, took_s: float) -> Ticket | None:
        """The next task, done in `took_s`."""
        given = [a.task_id for a in self.scheduler.assign(self.now)]
        if not given:
            self.now += took_s
            return None
        (number,) = given
        self.now += took_s
        self.scheduler.finished("tpu", number, self.now)
        return self.waiting.pop(number)


arrivals = st.lists(st.tuples(st.lists(tickets, max_size=4), st.floats(0.001, 0.1)), max_size=60)


@often
@given(arrivals)
def test_no_deadline_is_overtaken_by_a_later_one_that_can_still_wait(steps: list[tuple[list[Ticket], float]]) -> None:
    run = Run()
    for come, took_s in steps:
        for ticket in come:
            run.offer(ticket)
        now = run.now
        picked = run.pick(took_s)
        for other in run.waiting.values():
            if picked is None or other.priority != picked.priority:
                continue
            if (other.tenant, other.model) == (picked.tenant, picked.model):
                assert (picked.deadline, picked.id) < (other.deadline, other.id)
            if other.deadline - now < RULES.urgent_s:
                assert picked.deadline <= other.deadline


@often
@given(arrivals, st.sampled_from(Priority), st.sampled_from((*MODELS, "", None)))
def test_every_accepted_task_starts_within_a_bounded_number_of_picks_of_its_deadline(
    steps: list[tuple[list[Ticket], float]], flood: Priority, model: str | None
) -> None:
    run = Run(one_worker(waiting=40))
    overdue: Counter[int] = Counter()
    bounds: dict[int, int] = {}
    endless = itertools.repeat(([Ticket(0, flood, 0.5, 1, "flood", model)] * 2, 0.02), 200)
    for come, took_s in itertools.chain(steps, endless):
        for ticket in come:
            run.offer(ticket)
        for number, ticket in run.waiting.items():
            if ticket.deadline <= run.now:
                place = (ticket.deadline, number)
                earlier = sum(other.priority == ticket.priority and (other.deadline, other.id) < place
                              for other in run.waiting.values())
                bounds.setdefault(number, RULES.lower_class_every * (earlier + 1))
                overdue[number] += 1
                assert overdue[number] <= bounds[number]
        run.pick(took_s)
    assert all(ticket.tenant == "flood" or ticket.deadline > run.now for ticket in run.waiting.values())


@often
@given(arrivals)
def test_a_lower_class_gets_its_part_of_the_picks(steps: list[tuple[list[Ticket], float]]) -> None:
    run = Run(one_worker(waiting=100))
    passed: Counter[Priority] = Counter()
    for come, took_s in steps:
        for ticket in come:
            run.offer(ticket)
        waited = {ticket.priority for ticket in run.waiting.values()}
        picked = run.pick(took_s)
        if picked is None:
            continue
        for priority in Priority:
            passed[priority] = passed[priority] + 1 if priority in waited and priority != picked.priority else 0
        assert max(passed[Priority.INTERACTIVE], passed[Priority.BATCH]) < RULES.lower_class_every


services_s = st.lists(st.floats(0.001, LONGEST_S), min_size=60, max_size=120)


@often
@given(services_s, st.integers(1, 5), st.integers(20, 60), st.sampled_from(["aaa", "abc"]))
def test_backlogged_tenants_get_equal_time_and_one_that_comes_back_no_more(
    took_s: list[float], ratio: int, back_at: int, models: str
) -> None:
    """`one` has `ratio` times as many tasks waiting as `two`; `three` was there first, is away, and comes back."""
    run = Run()
    asked = Ticket(0, Priority.INTERACTIVE, 1e6, 1)
    for _ in range(3):
        run.offer(replace(asked, tenant="three", model=models[2]))
        run.pick(0.01)
    used_s = dict.fromkeys(TENANTS, 0.0)
    before_s = used_s
    for turn, seconds in enumerate(took_s):
        if turn == back_at:
            before_s = used_s.copy()
        present = TENANTS if turn >= back_at else TENANTS[:2]
        for tenant, model, backlog in zip(present, models, (ratio, 1, 1), strict=False):
            while backlog > sum(ticket.tenant == tenant for ticket in run.waiting.values()):
                run.offer(replace(asked, tenant=tenant, model=model))
        picked = run.pick(seconds)
        assert picked is not None
        used_s[picked.tenant] += seconds
        since_s = [used_s[tenant] - before_s[tenant] for tenant in present]
        apart_s = 2 * LONGEST_S + (RULES.group_s + LONGEST_S if models == "abc" else 0.0)
        assert max(since_s) - min(since_s) <= apart_s * (2 if turn >= back_at else 1)


@often
@given(st.lists(tickets, max_size=80), st.integers(1, 3))
def test_the_queue_is_bounded_in_tasks_and_bytes(offers: list[Ticket], slots: int) -> None:
    made = Scheduler(max_waiting=MAX_WAITING, max_waiting_bytes=MAX_BYTES)
    made.worker_ready("cpu", slots, TPU, accelerator=False)
    sizes: dict[int, int] = {}
    for number, ticket in enumerate(offers):
        try:
            made.offer(replace(ticket, id=number), 0.0)
        except (Overloaded, DeadlineExceeded):
            continue
        sizes[number] = ticket.size_bytes
        for assignment in made.assign(0.0):
            del sizes[assignment.task_id]
        assert made.waiting == len(sizes) <= MAX_WAITING * 1.25
        assert sum(sizes.values()) <= MAX_BYTES
