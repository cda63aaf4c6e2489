"""Who answers a request: the edge, the cloud in its place, or the cloud besides, as a second opinion.

The rules are pure (routing/); here they meet what is known of the request, the budget that is used up, and the jobs.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from domains.formats import clip_format
from edge_runtime.errors import NodeLost
from edge_runtime.wire import ModelInfo
from gateway.service.errors import ServiceError
from gateway.service.jobs.records import HELD_BACK, Job, JobPriority
from gateway.service.jobs.service import JobService, new_job
from gateway.service.learning.cases import HardCases
from gateway.service.leaving.consent import CLOUD, LEARNING, Leave, Refusal, TenantLeave, leave_for
from gateway.service.records import Analysis
from gateway.service.routing.decide import Choice, first_tier, instead, second_opinion
from gateway.service.routing.rules import ANY, Routes, Rule, Usage

Chosen = TypeVar("Chosen", Choice, Choice | None)

BUDGET_DAY = timedelta(days=1)
START_S = 60.0
"""For so long after the start the edge may not be there yet."""
_OPINION_KEY = "\x1fopinion/"
"""Before the id of the analysis: no caller's key begins so, and one analysis asks for one opinion."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as it matters who answers it."""

    tenant: str
    domain: str
    payload: bytes
    parameters: Mapping[str, Any]
    request_id: str
    consents: tuple[str, ...] = ()
    callback: Mapping[str, Any] | None = None
    priority: JobPriority = "interactive"
    came_back: bool = False
    """Whether it was to go to the cloud and may not leave: it stays, and no opinion is asked for."""


def asked_by(job: Job, payload: bytes) -> Asked:
    """What a job's caller asked."""
    return Asked(
        job.tenant, job.domain, payload, job.parameters, job.request_id, job.consents, job.callback, job.priority,
        came_back=job.tier == "edge" and job.why == HELD_BACK,
    )


class Edge(Protocol):
    """The part of a node that is needed here."""

    @property
    def ready(self) -> bool:
        """As Node.ready."""
        ...

    def models(self) -> Sequence[ModelInfo]:
        """As Node.models."""
        ...


class Tiers:
    """Use from one event loop. `patience`: for how long a request for the cloud waits where it can't be reached; None for
    ever. `cases`: where pictures are set aside to learn from; None sets none aside.
    """

    def __init__(
        self, routes: Routes, jobs: JobService, edge: Edge, *, patience: timedelta | None = None,
        cases: HardCases | None = None,
    ) -> None:
        self._routes = routes
        self._jobs = jobs
        self._cases = cases
        self._edge = edge
        self._given_up_from = time.monotonic() + START_S
        self._patience = patience

    async def first(self, asked: Asked) -> Choice:
        """Before anything runs. A `note` says why it isn't the cloud where a rule wants it."""
        if asked.came_back:
            return Choice("edge", note="the picture can't be de-identified, so the cloud was not asked")
        rule = self._rule(asked)
        leave, size_bytes = _leave(rule, asked), len(asked.payload)
        choice = await self._within_budget(rule, asked, lambda usage: first_tier(rule, leave, usage, size_bytes))
        if choice.tier == "edge" and not choice.why and self._is_down():
            down = NodeLost("nothing at the edge is in service")
            return await self._within_budget(rule, asked, lambda usage: instead(rule, leave, usage, size_bytes, down)) or choice
        return choice

    async def instead(self, asked: Asked, error: Exception) -> Choice | None:
        """When the edge failed: the cloud, or the edge with a note; None where the cloud would fail as well."""
        if asked.came_back:
            return None
        rule = self._rule(asked)
        leave, size_bytes = _leave(rule, asked), len(asked.payload)
        return await self._within_budget(rule, asked, lambda usage: instead(
            rule, leave, usage, size_bytes, error, in_service=self._edge.ready
        ))

    async def hand_over(self, job: Job, choice: Choice) -> None:
        """A running job goes to the cloud."""
        await self._jobs.hand_over(job, choice.why, expires_at=job.expires_at or self._until())

    async def ask_cloud(self, asked: Asked, why: str, *, opinion_on: str = "") -> Job:
        """A new job for the cloud, or the one that was asked on that analysis; when it returns, it survives a crash."""
        job = new_job(
            asked.tenant, asked.domain, asked.parameters, asked.request_id, priority=asked.priority,
            size_bytes=len(asked.payload), sha256=hashlib.sha256(asked.payload).hexdigest(),
            key=f"{_OPINION_KEY}{opinion_on}" if opinion_on else "", callback=asked.callback, consents=asked.consents,
            expires_at=self._until(), tier="cloud", why=why, opinion_on=opinion_on,
        )
        return (await self._jobs.take(job, asked.payload)).job

    async def judged(self, asked: Asked, analysis: Analysis, note: str = "") -> Analysis:
        """The edge's answer before it is stored, with what is said of a second opinion, which is asked for here: a crash in
        between leaves at worst an opinion on an answer that nobody was given. `note`: why it isn't the cloud's.
        """
        provenance = dict(analysis.provenance)
        if note:
            provenance["tier_reason"] = f"{provenance['tier_reason']}; {note}"
        rule = self._rule(asked)
        if rule.to_cloud and not asked.came_back:
            provenance |= await self._opinion(rule, asked, analysis)
        return replace(analysis, provenance=provenance)

    async def learn(self, asked: Asked, analysis: Analysis) -> None:
        """Sets the picture aside where the answer isn't sure and both tenant and request let it; for after it is stored."""
        if self._cases is not None and self.may_learn(asked.tenant, asked.domain, asked.consents):
            await self._cases.consider(analysis, asked.payload)

    async def forget(self, analysis: Analysis) -> None:
        """Removes what is kept for an analysis which is about to be deleted: the picture that was set aside, and that which
        waits for a second opinion.
        """
        if self._cases is not None:
            await self._cases.forget([analysis.id])
        if asked := (analysis.provenance.get("second_opinion") or {}).get("job"):
            await self._jobs.withdraw(analysis.tenant, asked)

    def may_learn(self, tenant: str, domain: str, consents: Sequence[str]) -> bool:
        """Whether both the tenant and the request let a picture be kept to learn from."""
        return LEARNING in consents and self._routes.rule(tenant, domain).to_learning

    async def _opinion(self, rule: Rule, asked: Asked, analysis: Analysis) -> dict[str, Any]:
        leave, size_bytes, luck = _leave(rule, asked), len(asked.payload), _luck(analysis.id)
        quality, foreign_from = analysis.media.get("quality", {}), self._foreign_from(analysis.model)
        choice = await self._within_budget(
            rule, asked,
            lambda usage: second_opinion(rule, leave, usage, size_bytes, analysis.result, quality, foreign_from, luck),
        )
        if choice is None:
            return {}
        if choice.tier == "edge":
            return {"second_opinion": {"job": None, "why": choice.why, "note": choice.note}}
        meant = replace(asked, parameters={**asked.parameters, **analysis.parameters})  # a DICOM's own exam may not leave
        try:
            job = await self.ask_cloud(meant, choice.why, opinion_on=analysis.id)
        except ServiceError as error:  # no room for more; the edge's answer is there all the same
            return {"second_opinion": {"job": None, "why": choice.why, "note": str(error)}}
        return {"provisional": True, "second_opinion": {"job": job.id, "why": choice.why, "note": ""}}

    async def _within_budget(
        self, rule: Rule, asked: Asked, decide: Callable[[Usage], Chosen]
    ) -> Chosen:
        """What is decided; the budget is looked up only where it matters."""
        choice = decide(Usage(0, 0))
        if choice is None or choice.tier == "edge" or (rule.daily_answers is None and rule.daily_bytes is None):
            return choice
        domain = "" if rule.domain == ANY else asked.domain
        return decide(await self._jobs.used(asked.tenant, domain, datetime.now(UTC) - BUDGET_DAY))

    def _rule(self, asked: Asked) -> Rule:
        return self._routes.rule(asked.tenant, asked.domain)

    def _foreign_from(self, model: str) -> float | None:
        """From which unfamiliarity on a picture is foreign to a model; None where it has no gate."""
        sequences = (info.sequence for info in self._edge.models() if info.name == model)
        foreign_from: float | None = next(sequences, {}).get("foreign_from")
        return foreign_from

    def _is_down(self) -> bool:
        """Whether nothing at the edge answers now. While the gateway starts it is waited for."""
        if self._edge.ready:
            self._given_up_from = 0.0
            return False
        return time.monotonic() >= self._given_up_from

    def _until(self) -> datetime | None:
        return None if self._patience is None else datetime.now(UTC) + self._patience


def _luck(analysis_id: str) -> float:
    """A draw from [0, 1) that is the same when a job is tried again: else the first try might ask, and the second not tell."""
    return int.from_bytes(hashlib.sha256(analysis_id.encode()).digest()[:6], "big") / 2**48


def _leave(rule: Rule, asked: Asked) -> Leave:
    if clip_format(asked.payload):
        return Leave(Refusal.VIDEO)
    consents = CLOUD in asked.consents or None
    return leave_for(TenantLeave(rule.to_cloud, rule.keep_gps), request_consents=consents)
