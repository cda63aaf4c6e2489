"""Tasks sent to one of several nodes, and to another one when it goes away with them or keeps them too long. Rules 1 to 4 of
fleet.py.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    EdgeError,
    ModelUnavailable,
    NodeLost,
    NodeRefused,
    NodeStopped,
    Overloaded,
)
from edge_runtime.node import Answer, Node
from edge_runtime.routing import NodeRecord, serves, slots_of, typical_s
from edge_runtime.wire import NodeState

GONE = (NodeLost, NodeStopped)
"""The node may be back for this very task."""

UNABLE = (Overloaded, DeadlineExceeded, DeviceFault, ModelUnavailable, NodeRefused)
"""The node can't run this task; in the order in which they are worth telling."""

SAID: Mapping[type[EdgeError], str] = {
    NodeLost: "was lost", NodeStopped: "was stopping", NodeRefused: "refused this gateway", Overloaded: "was full",
    ModelUnavailable: "lacked the model", DeviceFault: "had no device for it", DeadlineExceeded: "was too slow for its deadline",
}

MAX_LOSSES = 5
HEDGE_AFTER_S = 1.0
HEDGE_FACTOR = 4.0
"""A task runs on another node as well once it took HEDGE_FACTOR times as long as expected, and HEDGE_AFTER_S."""

LOOK_EVERY_S = 0.05
"""How often a task that waits looks for a node, and an overdue one for another."""

STATE_FOR_S = 0.02
"""How long a node's state is taken for true."""

Ask = Callable[[Node, float], Awaitable[Answer]]
"""Runs the task on a node, within so many seconds."""


@dataclass(slots=True)
class Member:
    """One node, and what was learned of it."""

    node: Node
    record: NodeRecord = field(default_factory=NodeRecord)
    _state: NodeState = field(default_factory=lambda: NodeState(""))
    _seen_at: float = float("-inf")

    def state(self, now: float) -> NodeState:
        if not self.node.ready:
            return NodeState(self.node.name)
        if now - self._seen_at > STATE_FOR_S or not self._state.ready:
            self._state, self._seen_at = self.node.states()[0], now
        return self._state


@dataclass(slots=True)
class Errand:
    """One task on its way. `model`: empty where it isn't known yet, None where none is needed."""

    id: int
    ask: Ask
    model: str | None
    size_bytes: int
    timeout_s: float
    began: float
    failures: list[tuple[Member, EdgeError]] = field(default_factory=list)
    slow: Member | None = None
    """The node that kept it for too long, so that another one was asked as well."""
    waited_s: float = 0.0

    @property
    def left_s(self) -> float:
        return self.began + self.timeout_s - time.monotonic()

    @property
    def losses(self) -> int:
        return sum(isinstance(error, NodeLost) for _, error in self.failures)

    def barred(self, member: Member) -> bool:
        """Whether that node can't run it."""
        return any(failed is member and isinstance(error, UNABLE) for failed, error in self.failures)

    def shunned(self, member: Member) -> bool:
        """Whether it was lost with that node before."""
        return any(failed is member for failed, _ in self.failures)


class Dispatcher:
    """Sends tasks to nodes. Use from one event loop."""

    def __init__(self, nodes: Sequence[Node], *, max_waiting: int, max_waiting_bytes: int) -> None:
        self._members = [Member(node) for node in nodes]
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: dict[int, int] = {}
        """Bytes of the tasks that wait for a node."""
        self._ids = itertools.count()
        self._stopped = False

    def stop(self) -> None:
        """What waits for a node from now on fails with NodeStopped."""
        self._stopped = True

    async def run(self, ask: Ask, model: str | None, size_bytes: int, timeout_s: float) -> Answer:
        """A task's answer. `model`: which it needs; empty where that isn't known yet, None where it needs none.

        Raises what the task itself met, what the nodes said where none can run it, NodeStopped, DeadlineExceeded where none was in
        service in time, and Overloaded where too many wait for one.
        """
        errand = Errand(next(self._ids), ask, model, size_bytes, timeout_s, time.monotonic())
        while True:
            member = self._choose(errand)
            if member is None:
                await self._wait(errand)
            elif (answer := await self._ask(errand, member)) is not None:
                return answer

    def _able(self, errand: Errand) -> list[Member]:
        now = time.monotonic()
        able = [
            member for member in self._members
            if not errand.barred(member) and serves(member.state(now), errand.model or "")
        ]
        return [member for member in able if not errand.shunned(member)] or able

    def _choose(self, errand: Errand) -> Member | None:
        able = self._able(errand)
        if len(able) < 2 or errand.model is None:
            return able[0] if able else None
        return min(able, key=lambda member: round(self._expected_s(member, errand), 3))

    def _expected_s(self, member: Member, errand: Errand) -> float:
        model, now = errand.model or "", time.monotonic()
        typical = typical_s((other.record for other in self._members), model)
        return member.record.expected_s(model, member.state(now), typical, now)

    async def _wait(self, errand: Errand) -> None:
        """Until a node may be able to. Raises what the nodes said where waiting is of no use."""
        self._raise_if_refused(errand)
        full = len(self._waiting) >= self._max_waiting
        if full or sum(self._waiting.values()) + errand.size_bytes > self._max_waiting_bytes:
            raise Overloaded(f"no node is in service, and {len(self._waiting)} tasks wait for one", retry_after_s=1.0)
        began = time.monotonic()
        self._waiting[errand.id] = errand.size_bytes
        try:
            while not self._able(errand):
                self._raise_if_refused(errand)
                if self._stopped:
                    raise NodeStopped("the node is stopping")
                if errand.left_s <= 0:
                    raise DeadlineExceeded(f"no node was in service for it within {errand.timeout_s:g} s")
                await asyncio.sleep(min(LOOK_EVERY_S, errand.left_s))
        finally:
            del self._waiting[errand.id]
            errand.waited_s += time.monotonic() - began

    def _raise_if_refused(self, errand: Errand) -> None:
        """Where every node that is ready has said that it can't, another one will not help."""
        ready = [member for member in self._members if member.node.ready]
        said = [error for member, error in errand.failures if isinstance(error, UNABLE) and member in ready]
        if not said or not all(errand.barred(member) for member in ready):
            return
        raise min(said, key=lambda error: next(i for i, kind in enumerate(UNABLE) if isinstance(error, kind)))

    async def _ask(self, errand: Errand, member: Member) -> Answer | None:
        """The answer of the member, or of another one that is asked as well; None where none of them could give it."""
        expected_s = self._expected_s(member, errand)
        patience_s = max(HEDGE_AFTER_S, HEDGE_FACTOR * expected_s)
        running = {self._begin(errand, member, expected_s): member}
        try:
            while running:
                done, _ = await asyncio.wait(
                    running, timeout=self._look_in(errand, patience_s), return_when=asyncio.FIRST_COMPLETED
                )
                for work in done:
                    asked, error = running.pop(work), work.exception()
                    if error is None:
                        return self._told(errand, asked, work.result())
                    self._take_failure(errand, asked, error)
                patience_s = patience_s if done else 0.0
                other = None if done or errand.slow else self._free_one(errand, member)
                if other is not None:
                    errand.slow = member
                    running[self._begin(errand, other, self._expected_s(other, errand))] = other
        finally:
            for work in running:
                work.cancel()
        return None

    @staticmethod
    def _look_in(errand: Errand, patience_s: float) -> float | None:
        """When to look for another node; None for never. Drawing is never asked for twice."""
        if errand.slow is not None or errand.model is None:
            return None
        return patience_s or LOOK_EVERY_S

    def _free_one(self, errand: Errand, busy: Member) -> Member | None:
        now = time.monotonic()
        free = [
            member for member in self._able(errand)
            if member is not busy and member.record.held < slots_of(member.state(now))
            and member.state(now).expected_wait_s < HEDGE_AFTER_S and not member.record.overdue_s(now)
        ]
        return min(free, key=lambda member: self._expected_s(member, errand), default=None)

    def _begin(self, errand: Errand, member: Member, expected_s: float) -> asyncio.Task[Answer]:
        task = next(self._ids)
        member.record.begin(task, expected_s, time.monotonic())
        work = asyncio.create_task(self._on(errand, member))
        work.add_done_callback(lambda _: member.record.end(task))
        return work

    @staticmethod
    async def _on(errand: Errand, member: Member) -> Answer:
        if errand.left_s <= 0:
            raise DeadlineExceeded(f"no answer within {errand.timeout_s:g} s")
        began = time.monotonic()
        try:
            answer = await errand.ask(member.node, errand.left_s)
        except asyncio.CancelledError:
            if errand.slow is member:
                member.record.given_up(errand.model or "", time.monotonic() - began, time.monotonic())
            raise
        now = time.monotonic()
        if errand.model is not None:
            member.record.answered(errand.model, max(0.0, now - began - answer.reply.timings.queue), now)
        return answer

    @staticmethod
    def _take_failure(errand: Errand, member: Member, error: BaseException) -> None:
        """Notes why a node didn't answer. Raises what no other node would do better."""
        if not isinstance(error, EdgeError) or not isinstance(error, (*GONE, *UNABLE)):
            raise error
        if isinstance(error, DeadlineExceeded) and errand.left_s <= 0:
            raise error
        errand.failures.append((member, error))
        if errand.losses >= MAX_LOSSES:
            raise NodeLost(f"{errand.losses} times a node was lost while it had this task")

    def _told(self, errand: Errand, member: Member, answer: Answer) -> Answer:
        """The answer, with all of its way in its reason."""
        name = member.node.name
        failed = [f"node {failed.node.name} {SAID[type(error)]}" for failed, error in errand.failures]
        failed += [f"node {away.node.name} is not in service" for away in self._members
                   if not away.node.ready and not errand.shunned(away)]
        if errand.slow is not None and errand.slow is not member:
            failed.append(f"node {errand.slow.node.name} took longer than expected")
        if failed:
            way = f"{', '.join(failed)}; ran on {name}: "
        elif len(self._members) > 1:
            way = f"{name} was expected to answer first: "
        else:
            way = ""
        waited = f"; it was queued for {errand.waited_s:.1f} s until a node was back" if errand.waited_s else ""
        attempts = answer.attempts + len(errand.failures) + (errand.slow is not None)
        return replace(answer, reason=f"{way}{answer.reason}{waited}", attempts=attempts)
