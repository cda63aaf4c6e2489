"""What an operator says of who answers, and which of the rules is for a request."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ANY = "*"
"""Every tenant, or every domain."""

Mode = Literal["edge_first", "always_edge", "always_cloud"]


class Why(enum.StrEnum):
    """Why the cloud is asked. Stable: stored, shown and logged by these values."""

    ALWAYS_CLOUD = "always_cloud"
    EDGE_DOWN = "edge_down"
    EDGE_BUSY = "edge_busy"
    MODEL_MISSING = "model_missing"
    UNSURE = "unsure"
    NEAR_FOREIGN = "near_foreign"
    AUDIT = "audit"


_SENTENCES = {
    Why.ALWAYS_CLOUD: "a rule sends these requests to the cloud",
    Why.EDGE_DOWN: "the edge was out of service, so the cloud answered instead",
    Why.EDGE_BUSY: "the edge could not answer in time, so the cloud answered instead",
    Why.MODEL_MISSING: "the edge has no usable model for this request, so the cloud answered instead",
    Why.UNSURE: "the cloud was asked for a second opinion, since the edge's answer was not sure",
    Why.NEAR_FOREIGN: "the cloud was asked for a second opinion, since the picture is hardly like those that the edge's model knows",
    Why.AUDIT: "the cloud was asked for a second opinion, since this answer was drawn at random to be checked",
}


def sentence(why: str) -> str:
    """Why the cloud answered, for whoever reads the answer. Raises ValueError for what is no value of Why."""
    return _SENTENCES[Why(why)]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who answers the requests of a tenant in a domain, and what may leave. As it stands nothing leaves."""

    tenant: str = ANY
    domain: str = ANY
    mode: Mode = "edge_first"
    to_cloud: bool = False
    """Whether pictures may go to the cloud, where the request consents too."""
    keep_gps: bool = False
    to_learning: bool = False
    """Whether pictures may be set aside to learn from, where the request consents too."""
    unsure: bool = True
    near_foreign: bool = True
    audit_share: float = 0.0
    """Of the answers that neither of these two is about; 0 to 1."""
    when_down: bool = True
    when_busy: bool = True
    when_missing: bool = True
    daily_answers: int | None = None
    """The most that the cloud is asked for one tenant in a day; None is no limit."""
    daily_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant's requests for the cloud came to in the last day."""

    answers: int
    bytes: int


class Routes:
    """The rules of an installation. Raises ValueError where two are for the same tenant and domain."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {(rule.tenant, rule.domain): rule for rule in rules}
        if len(self._rules) < len(rules):
            raise ValueError("two rules are for the same tenant and domain")

    def rule(self, tenant: str, domain: str) -> Rule:
        """The one rule that counts, whole: nothing is filled in from a wider one. That for both is before that for the tenant, the
        domain, and all. Where there is none nothing leaves.
        """
        places = ((tenant, domain), (tenant, ANY), (ANY, domain), (ANY, ANY))
        return next((self._rules[place] for place in places if place in self._rules), Rule())
