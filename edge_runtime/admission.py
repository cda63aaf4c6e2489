"""How long a new task would wait, from what is known of the tasks ahead of it. Rule 2 of scheduler.py.

What is known of nothing takes 0 s: so that it never is a reason to refuse.
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

from edge_runtime.fairness import Shares
from edge_runtime.placement import Worker
from edge_runtime.tickets import Ticket, Waiting

ROOM, ROOM_WITH_GROUPS = 0.8, 0.5
"""Shares of the time to a deadline. Chosen by simulation: with 1.0, an Edge TPU that is asked for 1.3 times what it can
do by three models answers 62 % of the requests in time and 15 % too late; with 0.5, 77 % in time, and refuses the
others at once.
"""


def least_s(workers: Iterable[Worker], model: str | None) -> float:
    """Seconds below which no worker is done with a task of the model."""
    return min((worker.estimates.least_s[model] for worker in workers if model in worker.cost_s), default=0.0)


def fastest_s(workers: Iterable[Worker], model: str | None) -> float:
    """Seconds to a task's answer on the worker that is fastest, with what loading has taken lately."""
    serving = (worker for worker in workers if model in worker.cost_s)
    return min((worker.estimates.answer_s[model] + worker.loading_s for worker in serving), default=0.0)


def delay_s(workers: Iterable[Worker], model: str | None, now: float) -> float:
    """Seconds until a worker for the model can work on something new, were nothing waiting."""
    return min((worker.delay_s(now) for worker in workers if model in worker.cost_s), default=0.0)


def room_s(workers: Iterable[Worker], model: str | None, slack_s: float) -> float:
    """How much work may be ahead of a task that has so many seconds left. The rest is for tasks that come later and go
    first. Where changes of model cost time it is also for grouping: with less, every task becomes urgent before its
    group's turn, each is a change of model, and fewer are done in time.
    """
    swaps = any(worker.swaps and model in worker.cost_s for worker in workers)
    return slack_s * (ROOM_WITH_GROUPS if swaps else ROOM)


def work_s(workers: Collection[Worker], ahead: Iterable[Waiting], model: str | None) -> float:
    """Seconds until the workers for the model are through with all that waits for them in these classes."""
    return sum(lane.size * _per_task_s(workers, lane.model, model)
               for waiting in ahead for lane in waiting.lanes.values())


def fair_work_s(workers: Collection[Worker], ahead: Sequence[Waiting], shares: Shares, ticket: Ticket) -> float:
    """The part of it that goes before a new task: the higher classes, its own tenant's earlier deadlines, and as much
    of the others' as their shares allow. `ahead`: the classes up to its own; `shares`: those of its own.
    """
    *higher, waiting = ahead
    work_by_tenant_s = {ticket.tenant: 0.0}
    for lane in waiting.lanes.values():
        each_s = _per_task_s(workers, lane.model, ticket.model)
        for tenant, entries in lane.tenants.items():
            earlier = bisect_right(entries, (ticket.deadline, math.inf))
            work_by_tenant_s[tenant] = work_by_tenant_s.get(tenant, 0.0) + earlier * each_s
    own_s = work_by_tenant_s.pop(ticket.tenant)
    level_s = shares.level_s(ticket.tenant) + fastest_s(workers, ticket.model)
    parallel = max(1, sum(worker.parallel for worker in workers if ticket.model in worker.cost_s))
    others_s = sum(min(seconds, max(0.0, own_s + (level_s - shares.level_s(tenant)) / parallel))
                   for tenant, seconds in work_by_tenant_s.items())
    return work_s(workers, higher, ticket.model) + own_s + others_s


def _per_task_s(workers: Iterable[Worker], model: str | None, rival: str | None) -> float:
    """Seconds in which all workers together get through one task of the model; 0 where that isn't known, or where none
    of them also serves the rival model, which then doesn't have to wait for it.
    """
    rate, rivals = 0.0, False
    for worker in workers:
        run_s = worker.estimates.run_s.get(model)
        if run_s is None:
            continue
        if run_s <= 0:
            return 0.0
        rate += worker.parallel / (run_s + worker.loading_s)
        rivals = rivals or rival in worker.cost_s
    return 1 / rate if rivals and rate else 0.0
