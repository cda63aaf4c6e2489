"""The decisions. Three moments: before anything runs, when the edge failed, and when it answered.

All need three things before a picture goes: a rule that lets it, a request that consents, and room in the budget.
What an error of the edge says of the cloud:

    NodeLost, NodeRefused, DeviceFault   down: nodes or devices fail, and it isn't the input's doing
    Overloaded, DeadlineExceeded         busy; down where nothing is in service, since then tasks wait until they are late
    ModelUnavailable                     missing: the request is sound and its model known, but no device here runs it
    PackageError                         missing: the model is here but can't be used, which says nothing of the cloud's own
    NodeStopped                          neither: this gateway itself stops or starts. What it has accepted waits for it, or
                                         every restart would send pictures away
    InputBreaksWorker, DecoderFailed     the input: it would break the cloud's workers as well, and may be meant to
    TaskFailed                           unforeseen: the same flow runs in the cloud, and no picture leaves on a guess
    DomainError                          the caller's. UnknownExam too: an exam that only the cloud serves can't be told from a
                                         typing error here, so it is sent there by a rule (always_cloud), never by an error
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from domains.usability import is_foreign
from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    ModelUnavailable,
    NodeLost,
    NodeRefused,
    Overloaded,
    PackageError,
)
from gateway.service.leaving.consent import Leave, Refusal
from gateway.service.routing.doubts import is_near_foreign, is_unsure
from gateway.service.routing.rules import Rule, Usage, Why

DOWN = (NodeLost, NodeRefused, DeviceFault)
BUSY = (Overloaded, DeadlineExceeded)
MISSING = (ModelUnavailable, PackageError)
NO_HELP = "the picture is none that this model was made for, so no second opinion would help"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers. On the edge `why` says for which reason the cloud would have been asked, and `note` in a sentence why it isn't;
    both are empty where the edge is what is wanted.
    """

    tier: Literal["edge", "cloud"]
    why: str = ""
    note: str = ""


def first_tier(rule: Rule, leave: Leave, usage: Usage, size_bytes: int) -> Choice:
    """Who is asked first. `size_bytes`: of the upload."""
    if rule.mode != "always_cloud":
        return Choice("edge")
    return _cloud_if_it_may(Why.ALWAYS_CLOUD, rule, leave, usage, size_bytes)


def instead(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, error: Exception, *, in_service: bool = True
) -> Choice | None:
    """Whether the cloud answers what the edge couldn't. None where it isn't to be asked: the error isn't of that kind, or the rule
    doesn't want it. `in_service`: whether anything at the edge was.
    """
    why = _failure(error, in_service=in_service)
    wanted = {Why.EDGE_DOWN: rule.when_down, Why.EDGE_BUSY: rule.when_busy, Why.MODEL_MISSING: rule.when_missing}
    if why is None or not wanted[why] or not _uses_cloud(rule):
        return None
    return _cloud_if_it_may(why, rule, leave, usage, size_bytes)


def second_opinion(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, result: Mapping[str, Any],
    quality: Mapping[str, Any], foreign_from: float | None, luck: float,
) -> Choice | None:
    """Whether the cloud looks at what the edge has answered. None where no opinion is wanted; an audit that may not be is none. What
    is foreign never goes there: the cloud's model was made for the same pictures, and this one may show anything.

    `quality` and `foreign_from`: see `is_near_foreign`. `luck`: a fresh draw, evenly from [0, 1).
    """
    if not _uses_cloud(rule):
        return None
    if is_foreign(result):
        return Choice("edge", str(Why.NEAR_FOREIGN), NO_HELP) if rule.unsure or rule.near_foreign else None
    why = _doubt(rule, result, quality, foreign_from, luck)
    if why is None:
        return None
    choice = _cloud_if_it_may(why, rule, leave, usage, size_bytes)
    return None if why is Why.AUDIT and choice.tier == "edge" else choice


def _uses_cloud(rule: Rule) -> bool:
    return rule.to_cloud and rule.mode != "always_edge"


def _cloud_if_it_may(why: Why, rule: Rule, leave: Leave, usage: Usage, size_bytes: int) -> Choice:
    refusal = leave.refusal if rule.to_cloud else Refusal.TENANT
    note = refusal or _over_budget(rule, usage, size_bytes)
    return Choice("edge" if note else "cloud", str(why), str(note))


def _over_budget(rule: Rule, usage: Usage, size_bytes: int) -> str:
    if rule.daily_answers is not None and usage.answers + 1 > rule.daily_answers:
        return "the day's budget of requests to the cloud is used up"
    if rule.daily_bytes is not None and usage.bytes + size_bytes > rule.daily_bytes:
        return "the day's budget of bytes to the cloud has no room for this picture"
    return ""


def _failure(error: Exception, *, in_service: bool) -> Why | None:
    if isinstance(error, MISSING):
        return Why.MODEL_MISSING
    if isinstance(error, DOWN):
        return Why.EDGE_DOWN
    if isinstance(error, BUSY):
        return Why.EDGE_BUSY if in_service else Why.EDGE_DOWN
    return None


def _doubt(
    rule: Rule, result: Mapping[str, Any], quality: Mapping[str, Any], foreign_from: float | None, luck: float
) -> Why | None:
    if rule.unsure and is_unsure(result):
        return Why.UNSURE
    if rule.near_foreign and is_near_foreign(quality, foreign_from):
        return Why.NEAR_FOREIGN
    return Why.AUDIT if luck < rule.audit_share else None
