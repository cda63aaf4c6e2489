"""What goes to the cloud, and what never does."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.errors import NodeStopped
from gateway.service.leaving.consent import Leave, Refusal
from gateway.service.routing.decide import Choice, first_tier, instead, second_opinion
from gateway.service.routing.rules import Rule, Usage, Why
from tests.gateway.service.routing import any_rule
from tests.gateway.service.routing.any_rule import (
    BAD_INPUT,
    BUSY,
    DOWN,
    GIVEN,
    MISSING,
    NEITHER,
    NOTHING_USED,
    field,
    foreign,
    scan,
)

OPEN = Rule(to_cloud=True)
often = settings(max_examples=300, deadline=None)


def decided(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, error: Exception, result: dict[str, Any], luck: float
) -> tuple[Choice | None, ...]:
    """All that can be decided of one request."""
    return (
        first_tier(rule, leave, usage, size_bytes),
        instead(rule, leave, usage, size_bytes, error),
        instead(rule, leave, usage, size_bytes, error, in_service=False),
        second_opinion(rule, leave, usage, size_bytes, result, {"unfamiliarity": 1.4}, 1.5, luck),
        second_opinion(rule, leave, usage, size_bytes, result, {}, None, luck),
        second_opinion(rule, leave, usage, size_bytes, foreign(), {"unfamiliarity": 4.0}, 1.5, luck),
    )


anything = given(
    any_rule.rules, any_rule.leaves, any_rule.usages, any_rule.sizes, any_rule.errors, any_rule.results, any_rule.draws
)


@often
@anything
def test_without_leave_nothing_goes_to_the_cloud_whatever_the_rule(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, error: Exception, result: dict[str, Any], luck: float
) -> None:
    for choice in decided(rule, leave, usage, size_bytes, error, result, luck):
        if choice is not None and choice.tier == "cloud":
            assert leave.is_given
            assert rule.to_cloud


@often
@anything
def test_always_edge_never_asks_the_cloud(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, error: Exception, result: dict[str, Any], luck: float
) -> None:
    choices = decided(replace(rule, mode="always_edge"), leave, usage, size_bytes, error, result, luck)
    assert choices == (Choice("edge"), None, None, None, None, None)


@settings(max_examples=60, deadline=None)
@given(any_rule.rules, st.booleans())
def test_what_is_wrong_with_the_input_never_moves_to_the_cloud(rule: Rule, in_service: bool) -> None:
    for error in (*BAD_INPUT, *NEITHER):
        for open_rule in (OPEN, replace(rule, to_cloud=True)):
            assert instead(open_rule, GIVEN, NOTHING_USED, 1, error, in_service=in_service) is None


@often
@anything
def test_whatever_is_wanted_and_not_done_is_told_why_and_what_is_done_needs_no_excuse(
    rule: Rule, leave: Leave, usage: Usage, size_bytes: int, error: Exception, result: dict[str, Any], luck: float
) -> None:
    choices = decided(rule, leave, usage, size_bytes, error, result, luck)
    assert choices == decided(rule, leave, usage, size_bytes, error, result, luck)
    for choice in filter(None, choices):
        assert choice.why == "" or choice.why in set(Why)
        assert bool(choice.note) == (choice.tier == "edge" and choice.why != "")


@often
@given(any_rule.rules, st.lists(st.tuples(any_rule.sizes, any_rule.errors, any_rule.results, any_rule.draws), max_size=60))
def test_the_budget_is_never_passed_when_every_request_to_the_cloud_is_counted(
    rule: Rule, requests: list[tuple[int, Exception, dict[str, Any], float]]
) -> None:
    rule, used = replace(rule, to_cloud=True), NOTHING_USED
    for place, (size_bytes, error, result, luck) in enumerate(requests):
        choice = decided(rule, GIVEN, used, size_bytes, error, result, luck)[place % 5]
        if choice is not None and choice.tier == "cloud":
            used = Usage(used.answers + 1, used.bytes + size_bytes)
        assert rule.daily_answers is None or used.answers <= rule.daily_answers
        assert rule.daily_bytes is None or used.bytes <= rule.daily_bytes


def test_a_budget_can_be_used_up_to_the_last_answer_and_the_last_byte() -> None:
    rule = Rule(to_cloud=True, mode="always_cloud", daily_answers=2, daily_bytes=100)
    assert first_tier(rule, GIVEN, Usage(1, 60), 40).tier == "cloud"
    assert first_tier(rule, GIVEN, Usage(1, 60), 41).note == "the day's budget of bytes to the cloud has no room for this picture"
    assert first_tier(rule, GIVEN, Usage(2, 60), 40).note == "the day's budget of requests to the cloud is used up"
    assert first_tier(replace(rule, daily_answers=0), GIVEN, NOTHING_USED, 1).tier == "edge"


def test_always_cloud_falls_back_to_the_edge_and_says_why() -> None:
    rule = Rule(to_cloud=True, mode="always_cloud")
    assert first_tier(rule, GIVEN, NOTHING_USED, 1) == Choice("cloud", "always_cloud", "")
    for refusal in Refusal:
        assert first_tier(rule, Leave(refusal), NOTHING_USED, 1) == Choice("edge", "always_cloud", refusal.value)
    assert first_tier(Rule(mode="always_cloud"), GIVEN, NOTHING_USED, 1).note == Refusal.TENANT.value


def test_edge_first_begins_at_the_edge_without_a_word() -> None:
    assert first_tier(OPEN, GIVEN, NOTHING_USED, 1) == Choice("edge", "", "")


@pytest.mark.parametrize(
    ("errors", "why", "off"),
    [
        (DOWN, "edge_down", Rule(to_cloud=True, when_down=False)),
        (BUSY, "edge_busy", Rule(to_cloud=True, when_busy=False)),
        (MISSING, "model_missing", Rule(to_cloud=True, when_missing=False)),
    ],
)
def test_the_cloud_answers_where_the_edge_is_down_busy_or_lacks_the_model_unless_that_is_switched_off(
    errors: tuple[Exception, ...], why: str, off: Rule
) -> None:
    for error in errors:
        assert instead(OPEN, GIVEN, NOTHING_USED, 1, error) == Choice("cloud", why, "")
        assert instead(off, GIVEN, NOTHING_USED, 1, error) is None
        refused = instead(OPEN, Leave(Refusal.REQUEST), NOTHING_USED, 1, error)
        assert refused == Choice("edge", why, Refusal.REQUEST.value)


def test_a_request_that_waited_in_vain_for_any_device_to_come_back_found_the_edge_down() -> None:
    for error in BUSY:
        choice = instead(replace(OPEN, when_busy=False), GIVEN, NOTHING_USED, 1, error, in_service=False)
        assert choice == Choice("cloud", "edge_down", "")


def test_a_gateway_that_stops_sends_nothing_away_for_it() -> None:
    assert instead(OPEN, GIVEN, NOTHING_USED, 1, NodeStopped("the node is stopping"), in_service=False) is None


def test_a_second_opinion_follows_doubt_before_chance() -> None:
    def opinion(rule: Rule, result: dict[str, Any], unfamiliarity: float = 1.0, luck: float = 0.0) -> str:
        choice = second_opinion(rule, GIVEN, NOTHING_USED, 1, result, {"unfamiliarity": unfamiliarity}, 1.5, luck)
        return "" if choice is None else choice.why

    audited = replace(OPEN, audit_share=1.0)
    assert opinion(audited, scan("normal", "benign"), unfamiliarity=1.4) == "unsure"
    assert opinion(replace(audited, unsure=False), scan("normal", "benign"), unfamiliarity=1.4) == "near_foreign"
    assert opinion(replace(audited, unsure=False, near_foreign=False), scan("normal", "benign"), unfamiliarity=1.4) == "audit"
    assert opinion(OPEN, field(abstained=True)) == "unsure"
    assert opinion(OPEN, field(abstained=False)) == ""
    assert opinion(Rule(), field(abstained=True)) == ""


def test_nobody_is_asked_about_a_foreign_picture_and_the_answer_says_why() -> None:
    told = Choice("edge", "near_foreign", "the picture is none that this model was made for, so no second opinion would help")
    for rule in (OPEN, replace(OPEN, audit_share=1.0), replace(OPEN, unsure=False), replace(OPEN, near_foreign=False)):
        assert second_opinion(rule, GIVEN, NOTHING_USED, 1, foreign(), {"unfamiliarity": 4.0}, 1.5, 0.0) == told
    for rule in (replace(OPEN, unsure=False, near_foreign=False, audit_share=1.0), Rule(), replace(OPEN, mode="always_edge")):
        assert second_opinion(rule, GIVEN, NOTHING_USED, 1, foreign(), {"unfamiliarity": 4.0}, 1.5, 0.0) is None


def test_an_opinion_that_may_not_be_asked_for_is_explained_unless_nobody_missed_it() -> None:
    refused = Leave(Refusal.REQUEST)
    told = second_opinion(OPEN, refused, NOTHING_USED, 1, field(abstained=True), {}, None, 0.5)
    assert told == Choice("edge", "unsure", "the request doesn't consent to the picture leaving for the cloud")
    audited = replace(OPEN, audit_share=1.0)
    assert second_opinion(audited, refused, NOTHING_USED, 1, field(abstained=False), {}, None, 0.5) is None


@pytest.mark.parametrize("share", [0.0, 0.02, 0.25, 1.0])
def test_of_many_sure_answers_the_audit_takes_the_share_that_was_asked_for(share: float) -> None:
    rule, draws = replace(OPEN, audit_share=share), random.Random(7)
    asked = [second_opinion(rule, GIVEN, NOTHING_USED, 1, scan("normal"), {}, None, draws.random()) for _ in range(20_000)]
    taken = [choice for choice in asked if choice is not None]
    assert {choice.why for choice in taken} <= {"audit"}
    assert abs(len(taken) / len(asked) - share) < 0.01


@often
@given(any_rule.draws, st.floats(0, 1))
def test_the_draw_alone_says_which_answers_are_audited(luck: float, share: float) -> None:
    rule = replace(OPEN, audit_share=share)
    choice = second_opinion(rule, GIVEN, NOTHING_USED, 1, scan("normal"), {}, None, luck)
    assert (choice is not None) == (luck < share)


def test_a_day_under_a_budget_of_five_ends_at_the_edge_with_every_answer_explained() -> None:
    rule, used, notes = Rule(to_cloud=True, daily_answers=5), NOTHING_USED, []
    for _ in range(8):
        choice = second_opinion(rule, GIVEN, used, 10, scan("normal", "benign"), {}, None, 0.5)
        assert choice is not None
        if choice.tier == "cloud":
            used = Usage(used.answers + 1, used.bytes + 10)
        notes.append(choice.note)
    assert notes == [*[""] * 5, *["the day's budget of requests to the cloud is used up"] * 3]
    assert used == Usage(5, 50)
