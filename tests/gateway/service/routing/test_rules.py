"""Which rule counts for a request, and what the reasons say."""

import re
from dataclasses import asdict, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.service.routing.rules import Routes, Rule, Why, sentence
from gateway.settings import RouteSettings
from tests.gateway.service.routing.any_rule import DOMAINS, TENANTS, rules


def test_where_no_rule_fits_nothing_may_leave_or_be_kept_to_learn_from() -> None:
    rule = Routes([Rule(tenant="vets", to_cloud=True, to_learning=True)]).rule("robots", "crop_weed")
    assert rule == Rule()
    assert (rule.to_cloud, rule.keep_gps, rule.to_learning, rule.audit_share) == (False, False, False, 0.0)


def test_a_rule_that_names_more_counts_before_one_that_names_less() -> None:
    everybody, photos = Rule(to_cloud=True), Rule(domain="crop_weed", to_cloud=True, keep_gps=True)
    vets, scans = Rule(tenant="vets", mode="always_edge"), Rule(tenant="vets", domain="pathology", daily_answers=3)
    routes = Routes([everybody, photos, vets, scans])
    assert routes.rule("vets", "pathology") is scans
    assert routes.rule("vets", "crop_weed") is vets
    assert routes.rule("robots", "crop_weed") is photos
    assert routes.rule("robots", "pathology") is everybody


def test_a_narrow_rule_takes_nothing_from_a_wide_one() -> None:
    routes = Routes([Rule(to_cloud=True, keep_gps=True, to_learning=True), Rule(tenant="vets")])
    assert routes.rule("vets", "pathology") == Rule(tenant="vets")


@settings(max_examples=150, deadline=None)
@given(st.lists(rules, max_size=9, unique_by=lambda rule: (rule.tenant, rule.domain)), st.randoms(use_true_random=False),
       st.sampled_from(TENANTS), st.sampled_from(DOMAINS))
def test_the_order_in_which_rules_are_written_changes_nothing(
    written: list[Rule], random: Random, tenant: str, domain: str
) -> None:
    shuffled = written.copy()
    random.shuffle(shuffled)
    found = Routes(written).rule(tenant, domain)
    assert found == Routes(shuffled).rule(tenant, domain)
    fitting = [rule for rule in written if rule.tenant in {"*", tenant} and rule.domain in {"*", domain}]
    assert found in (fitting or [Rule()])


def test_two_rules_for_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="same tenant and domain"):
        Routes([Rule(tenant="vets"), Rule(tenant="vets", to_cloud=True)])


def test_a_rule_can_say_all_that_its_setting_can_and_means_the_same_by_default() -> None:
    assert Rule(**RouteSettings().model_dump()) == Rule()
    assert asdict(Rule()).keys() == RouteSettings.model_fields.keys()
    said = {"tenant": "vets", "to_cloud": True, "audit_share": 0.1, "daily_bytes": 5}
    assert Rule(**RouteSettings.model_validate(said).model_dump()) == replace(Rule(), tenant="vets", to_cloud=True,
                                                                               audit_share=0.1, daily_bytes=5)


@pytest.mark.parametrize("why", Why)
def test_every_reason_is_a_sentence_that_stands_beside_others(why: Why) -> None:
    told = sentence(why)
    assert "the cloud" in told
    assert re.fullmatch(r"[a-z][A-Za-z ,']+[a-z]", told)  # after a semicolon as well, so without capital and full stop
    assert len({sentence(other) for other in Why}) == len(Why)


def test_a_reason_that_is_none_is_no_sentence() -> None:
    with pytest.raises(ValueError, match="'tired'"):
        sentence("tired")
