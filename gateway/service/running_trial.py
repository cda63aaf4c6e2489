"""One version on trial while it runs: what each version says to the same input, compared and counted.

Comparing gives way to callers: it begins when their answer is on its way, is left out while tasks wait or no device has a
free slot, a few comparisons run at most, and they run at the lowest priority.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from domains.errors import DomainError
from edge_runtime.errors import EdgeError, InputBreaksWorker, NodeLost, NodeRefused, NodeStopped, Overloaded
from edge_runtime.node import Answer, Node
from edge_runtime.scheduler import Priority
from edge_runtime.wire import Track
from gateway.service.ports import RolloutStore
from gateway.service.records import Analysis, Disagreement, Trial
from gateway.service.rollout import Side, Tally, difference, side_of, verdict

logger = structlog.get_logger("hedgerow.models")

MAX_OUTSTANDING = 4
"""Comparisons of one trial at a time; each holds its upload in memory."""
COMPARE_AFTER_S = 0.05
"""So long after the answer was stored: it is sent first, and doesn't share its processor with the comparison."""
COMPARE_TIMEOUT_S = 120.0
"""Longer than a hang takes to be noticed, so that a candidate that hangs is not merely late."""
KEPT_DISAGREEMENTS = 1000
_NOBODYS_FAULT = Overloaded | NodeStopped | NodeLost | NodeRefused
_OWN_STAGES = ("preprocess", "infer", "postprocess")


class RunningTrial:
    """A candidate beside the version in service. Use from one event loop.

    `on_counted` is called after each change of `trial.tally`, `on_out` once, with the reason, when the rule says that the
    candidate has to go; from then on it takes no request and counts nothing.
    """

    def __init__(
        self, node: Node, store: RolloutStore, model: str, trial: Trial,
        *, on_counted: Callable[["RunningTrial"], None], on_out: Callable[["RunningTrial", str], None],
    ) -> None:
        self.model = model
        self.trial = trial
        self.over = False
        self._node = node
        self._store = store
        self._on_counted = on_counted
        self._on_out = on_out
        self._comparing: set[asyncio.Task[None]] = set()

    def takes(self, request_id: str) -> bool:
        """Whether the candidate answers this request: the same id always goes the same way."""
        if self.over or self.trial.mode != "canary":
            return False
        digest = hashlib.sha256(f"{self.model} {self.trial.version} {request_id}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.trial.share * 2**64

    def answered(self) -> None:
        """The candidate has answered a caller."""
        self._count(self.trial.tally.with_run())

    def failed(self, error: DomainError | EdgeError) -> None:
        """The candidate gave no answer to an input that the version in service has answered."""
        if not isinstance(error, _NOBODYS_FAULT):
            self._count(self.trial.tally.with_run(failed=True, broke_worker=isinstance(error, InputBreaksWorker)))

    def observe(self, analysis: Analysis, payload: bytes, parameters: Mapping[str, Any]) -> None:
        """Has the other version answer the same input, where that costs no caller anything."""
        by_candidate = analysis.provenance["model"]["version"] == self.trial.version
        if self.over or by_candidate != (self.trial.mode == "canary"):
            return
        if len(self._comparing) >= MAX_OUTSTANDING:
            self._count(self.trial.tally.with_skip())
            return
        task = asyncio.create_task(self._compare(analysis, payload, parameters, "active" if by_candidate else "candidate"))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    def end(self) -> None:
        """Takes no more requests and drops what is being compared."""
        self.over = True
        for task in self._comparing - {asyncio.current_task()}:
            task.cancel()

    def _has_room(self) -> bool:
        states = [state for state in self._node.states() if state.reachable and state.ready]
        slots = sum(device.slots for state in states for device in state.devices if device.state == "serving")
        return sum(state.running for state in states) < slots and not any(state.waiting for state in states)

    async def _compare(self, analysis: Analysis, payload: bytes, parameters: Mapping[str, Any], other: Track) -> None:
        await asyncio.sleep(COMPARE_AFTER_S)
        if not self._has_room():
            self._count(self.trial.tally.with_skip())
            return
        try:
            answer = await self._node.analyse(
                analysis.domain, payload, parameters, priority=Priority.BATCH, timeout_s=COMPARE_TIMEOUT_S, track=other
            )
        except (DomainError, EdgeError) as error:
            if self.over:
                return
            if other == "candidate":
                self.failed(error)
            else:
                self._count(self.trial.tally.with_skip())
            return
        except Exception as error:
            logger.error("an answer could not be compared", model=self.model, kind=type(error).__name__)
            return
        if self.over:
            return
        if self._came_from(answer, other):
            await self._note(analysis, answer, other)
        else:
            self._count(self.trial.tally.with_skip())

    def _came_from(self, answer: Answer, track: Track) -> bool:
        """Whether the answer is of the version that was meant: a node may be changing, or its device lack a variant."""
        model = answer.reply.model
        by_candidate = model["version"] == self.trial.version
        return bool(model["name"] == self.model) and by_candidate == (track == "candidate")

    async def _note(self, analysis: Analysis, answer: Answer, other: Track) -> None:
        first = (analysis.provenance["model"]["version"], side_of(analysis.result))
        second = (answer.reply.model["version"], side_of(answer.reply.document))
        in_service, candidate = (first, second) if other == "candidate" else (second, first)
        found = difference(in_service[1], candidate[1])
        if found:
            await self._list(analysis, found, in_service, candidate)
        tally = self.trial.tally.with_pair(disagrees=bool(found), times_ms=_times_ms(analysis, answer, other))
        self._count(tally.with_run() if other == "candidate" else tally)

    async def _list(
        self, analysis: Analysis, found: str, in_service: tuple[str, Side], candidate: tuple[str, Side]
    ) -> None:
        disagreement = Disagreement(
            analysis.id, analysis.tenant, self.model, datetime.now(UTC), self.trial.mode, found, *in_service, *candidate
        )
        try:
            await asyncio.to_thread(self._store.add, disagreement, keep=KEPT_DISAGREEMENTS)
        except Exception as error:  # it still counts
            logger.error("a disagreement could not be stored", model=self.model, kind=type(error).__name__)

    def _count(self, tally: Tally) -> None:
        if self.over:
            return
        self.trial = replace(self.trial, tally=tally)
        cause = verdict(tally, allowed=self.trial.allowed_disagreement)
        if cause:
            self.end()
            self._on_out(self, cause)
        else:
            self._on_counted(self)


def _times_ms(analysis: Analysis, answer: Answer, other: Track) -> tuple[float, float] | None:
    """Milliseconds (in service, candidate) of the models' own stages, where both ran on one device."""
    made = analysis.provenance
    if (made["node"], made["device"]) != (answer.node, answer.device):
        return None
    first = sum(made["timings_ms"][stage] for stage in _OWN_STAGES)
    second = sum(getattr(answer.reply.timings, stage) for stage in _OWN_STAGES) * 1000
    return (first, second) if other == "candidate" else (second, first)
