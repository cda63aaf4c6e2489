"""Virtual time: what goes in comes out, and devices take as long as they should."""

from collections import Counter

import pytest

from edge_runtime.scheduler import Priority, Scheduler
from edge_runtime.simulation import (
    Fifo,
    Outcome,
    Policy,
    Request,
    SimulatedCpu,
    SimulatedTpu,
    Stream,
    Work,
    arrivals,
    quantile,
    simulate,
)
from edge_runtime.timing import BUSES, ModelProfile, load_s, run_s

WORK = {name: Work(ModelProfile(name, 4_000_000, 150_000, 1_000, 0.002), cpu_s=0.03) for name in ("a", "b", "c")}
USB3 = BUSES["usb3"]


def scheduler(waiting: int = 256) -> Scheduler:
    return Scheduler(max_waiting=waiting, max_waiting_bytes=1 << 40)


def alternating(count: int, period_s: float, *, deadline_s: float = 0.5, tenant: str = "") -> list[Request]:
    streams = [Stream(model, 1.0, deadline_s, tenant) for model in WORK]
    return [Request(number * period_s, streams[number % 3]) for number in range(count)]


def ends(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.end for outcome in outcomes)


def test_a_lone_request_takes_loading_and_running_and_the_next_one_only_running() -> None:
    requests = [Request(at, Stream("a", 1, 1.0)) for at in (1.0, 2.0)]
    first, second = simulate(requests, [SimulatedTpu("tpu", USB3, WORK)], scheduler())
    profile = WORK["a"].profile
    assert first.latency_s == pytest.approx(run_s(profile, USB3) + load_s(profile, USB3))
    assert second.latency_s == pytest.approx(run_s(profile, USB3))


def test_a_cpu_does_as_many_at_once_as_it_has_cores() -> None:
    outcomes = simulate([Request(0.0, Stream("a", 1, 1.0))] * 4, [SimulatedCpu("cpu", 2, WORK)], scheduler())
    assert [round(outcome.ended, 3) for outcome in outcomes] == [0.03, 0.03, 0.06, 0.06]


def test_decoding_overlaps_with_the_run_before_but_runs_dont_overlap() -> None:
    work = {"a": Work(WORK["a"].profile, 0.03, host_s=0.004, invocations=3)}
    device = SimulatedTpu("tpu", USB3, work)
    outcomes = simulate([Request(0.0, Stream("a", 1, 1.0))] * 2, [device], scheduler())
    run = run_s(work["a"].profile, USB3)
    load = load_s(work["a"].profile, USB3)
    assert [outcome.ended for outcome in outcomes] == pytest.approx([0.004 + load + 3 * run, 0.004 + load + 6 * run])
    assert device.busy_s == pytest.approx(load + 6 * run)


@pytest.mark.parametrize("policy", [scheduler(waiting=20), Fifo(max_waiting=20)], ids=["scheduler", "fifo"])
def test_every_request_has_one_end_also_under_ten_times_the_load(policy: Policy) -> None:
    outcomes = simulate(alternating(2000, 0.0005), [SimulatedTpu("tpu", USB3, WORK)], policy)
    assert sum(ends(outcomes).values()) == 2000
    assert ends(outcomes)["answered"] > 0
    for outcome in outcomes:
        assert (outcome.ended > 0) == (outcome.end in {"answered", "late"})
        if outcome.end == "answered":
            assert outcome.latency_s <= outcome.request.stream.deadline_s


def test_the_scheduler_reloads_seldom_where_first_come_first_served_reloads_each_time() -> None:
    reloads, in_time = {}, {}
    for name, policy, rate in (("calm fifo", Fifo(256), 60), ("fifo", Fifo(256), 260), ("scheduler", scheduler(), 260)):
        device = SimulatedTpu("tpu", USB3, WORK)
        outcomes = simulate(alternating(3000, 1 / rate), [device], policy)
        reloads[name] = device.reloads / sum(bool(outcome.device) for outcome in outcomes)
        in_time[name] = ends(outcomes)["answered"]
    assert reloads["calm fifo"] == 1.0
    assert reloads["scheduler"] < 0.1
    assert in_time["scheduler"] == 3000 > 10 * in_time["fifo"]


def test_overload_is_refused_at_the_door_rather_than_answered_late() -> None:
    outcomes = simulate(alternating(3000, 1 / 600), [SimulatedTpu("tpu", USB3, WORK)], scheduler())
    assert ends(outcomes)["late"] + ends(outcomes)["expired"] < 0.01 * 3000
    assert ends(outcomes)["answered"] > 0.4 * 3000


def test_a_light_tenant_isnt_delayed_by_a_heavy_one() -> None:
    streams = [Stream("a", 400, 2.0, "heavy", pattern="regular"), Stream("a", 20, 2.0, "light", pattern="regular")]
    p99_s = {}
    for name, policy in (("scheduler", scheduler()), ("fifo", Fifo(256))):
        outcomes = simulate(arrivals(streams, 10, 7), [SimulatedTpu("tpu", USB3, WORK)], policy)
        light = [outcome for outcome in outcomes if outcome.request.stream.tenant == "light"]
        p99_s[name] = quantile([outcome.latency_s for outcome in light if outcome.end == "answered"], 0.99)
        if name == "scheduler":
            assert all(outcome.end == "answered" for outcome in light)
    assert p99_s["scheduler"] < 0.03 < p99_s["fifo"]


def test_the_same_seed_gives_the_same_requests_and_the_rate_is_kept() -> None:
    streams = [Stream("a", 50, 1.0), Stream("b", 20, 1.0, pattern="regular", priority=Priority.LIVE)]
    once = arrivals(streams, 20, 7)
    assert once == arrivals(streams, 20, 7) != arrivals(streams, 20, 8)
    assert once == sorted(once, key=lambda request: request.at)
    regular = [request.at for request in once if request.stream.model == "b"]
    assert len(regular) == 400
    assert 800 < len(once) - 400 < 1200


@pytest.mark.parametrize(("values", "share", "expected"), [
    ([], 0.5, 0.0), ([3.0], 0.99, 3.0), ([1, 2, 3, 4], 0.5, 3), ([4, 1, 3, 2], 0.99, 4),
])
def test_quantiles_are_values_that_occur(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == expected
