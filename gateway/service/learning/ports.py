"""Hard cases, and where they are kept."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.service.rollout import Side

Reason = Literal["unsure", "abstained", "foreign", "disagreement"]
REASONS: tuple[Reason, ...] = ("unsure", "abstained", "foreign", "disagreement")


@dataclass(frozen=True, slots=True)
class HardCase:
    """A picture that is worth a label: its model was unsure, abstained or refused it, or two answers to it disagree. It lives as long as
    its analysis. There is one for an analysis at most.
    """

    analysis_id: str
    tenant: str
    domain: str
    model: str
    reason: Reason
    found_at: datetime
    """UTC, aware."""
    answer: Side
    other_analysis_id: str = ""
    """The second opinion; empty where there is none yet."""
    other_answer: Side | None = None


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases to list; None doesn't filter. `found_since`: from then on; it must have a zone."""

    tenant: str | None = None
    domain: str | None = None
    reason: Reason | None = None
    found_since: datetime | None = None


class HardCaseStore(ABC):
    """Hard cases of all tenants. Every method blocks, and may be called from any thread and process."""

    @abstractmethod
    def add(self, case: HardCase) -> bool:
        """Stores it; when it returns it survives a crash. False where its analysis is gone or has a case already."""

    @abstractmethod
    def second(self, analysis_id: str, reason: Reason | None, other_analysis_id: str, other_answer: Side) -> bool:
        """Notes the other answer with a case, and the new reason unless it is None. False where there is no such case."""

    @abstractmethod
    def page(self, chosen: CaseFilter, *, after_id: str | None, limit: int) -> Sequence[HardCase]:
        """At most `limit` cases whose analysis id is above `after_id`, oldest analysis first."""

    @abstractmethod
    def remove(self, analysis_id: str) -> None:
        """Forgets a case; nothing happens where there is none."""

    @abstractmethod
    def without_case(self, analysis_ids: Collection[str]) -> frozenset[str]:
        """Which of these have no case."""
