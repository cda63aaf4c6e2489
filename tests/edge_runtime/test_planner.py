"""What `hedgerow plan` says, on loads whose answer is known."""

from dataclasses import replace

import pytest

from edge_runtime.planner import PlannedDevice, PlannedModel, placements, plan
from edge_runtime.simulation import Stream, Work
from edge_runtime.timing import BUSES, ModelProfile, run_s

SMALL = ModelProfile("small", 1_500_000, 150_000, 500, 0.001)
LARGE = ModelProfile("large", 6_900_000, 150_000, 500, 0.004)
TPU = PlannedDevice("tpu", "usb3")
CPU = PlannedDevice("cpu", cores=2)


def model(name: str, rate: float, *, profile: ModelProfile = SMALL, deadline_s: float = 0.5) -> PlannedModel:
    return PlannedModel(Stream(name, rate, deadline_s), Work(replace(profile, name=name), cpu_s=0.02))


def test_a_light_load_takes_a_run_on_the_tpu_and_leaves_the_cpu_alone() -> None:
    found = plan([model("a", 5)], [TPU, CPU], seconds=20, seed=7)
    assert found.scheduled.total.in_time == 1.0
    assert found.scheduled.total.p50_s == pytest.approx(run_s(SMALL, BUSES["usb3"]))
    assert found.scheduled.devices["cpu"].utilisation == 0.0
    assert found.extended is None
    assert "carry the load: 100.0%" in found.recommendation[0]


def test_the_shares_of_a_models_requests_add_up_and_the_total_is_that_of_all() -> None:
    found = plan([model("a", 300), model("b", 300)], [TPU], seconds=10, seed=7)
    for figures in (*found.scheduled.models.values(), found.scheduled.total):
        assert figures.in_time + figures.late + figures.refused == pytest.approx(1.0)
        assert figures.p50_s <= figures.p95_s <= figures.p99_s
    assert sum(figures.requests for figures in found.scheduled.models.values()) == found.scheduled.total.requests


def test_an_overload_is_told_with_what_one_more_device_would_do() -> None:
    found = plan([model("a", 700)], [TPU], seconds=10, seed=7)
    assert found.scheduled.total.refused > 0.1
    assert 0.95 < found.scheduled.devices["tpu"].utilisation <= 1.01
    assert "don't carry the load" in found.recommendation[0]
    assert "one more Edge TPU on USB 3, 100.0%" in found.recommendation[1]


def test_where_decoding_is_what_is_short_the_plan_says_so() -> None:
    slow = model("a", 200)
    found = plan([replace(slow, work=replace(slow.work, host_s=0.02))], [TPU], seconds=5, seed=7)
    assert found.scheduled.total.refused > 0.1
    assert "what is short is decoding" in found.recommendation[1]


def test_models_that_fit_together_are_advised_to_be_compiled_together() -> None:
    found = plan([model("a", 60), model("b", 60), model("c", 60)], [TPU], seconds=20, seed=7)
    assert found.compiled is not None
    assert found.compiled.reloads_per_s < 1 < found.scheduled.reloads_per_s
    assert any("edgetpu_compiler" in sentence for sentence in found.recommendation)


def test_models_that_dont_fit_together_are_not() -> None:
    found = plan([model("a", 20, profile=LARGE), model("b", 20, profile=LARGE)], [TPU], seconds=10, seed=7)
    assert found.compiled is None
    assert not any("edgetpu_compiler" in sentence for sentence in found.recommendation)


def test_with_a_tpu_for_each_large_model_the_scheduler_finds_the_best_placement_by_itself() -> None:
    devices = [TPU, PlannedDevice("tpu 2", "usb3")]
    found = plan([model("a", 80, profile=LARGE), model("b", 80, profile=LARGE)], devices, seconds=20, seed=7)
    assert found.fixed is not None
    placement, figures = found.fixed
    assert {tuple(sorted(names)) for names in placement.values()} == {("tpu",), ("tpu 2",)}
    assert figures.reloads_per_s < 0.2
    assert found.scheduled.reloads_per_s < 2
    assert found.scheduled.total.p95_s < 1.3 * figures.total.p95_s
    assert "Let every device serve every model" in found.recommendation[-1]


def test_the_same_arguments_give_the_same_plan_and_another_seed_another() -> None:
    load = [model("a", 50), model("b", 20)]
    assert plan(load, [TPU, CPU], seconds=10, seed=7) == plan(load, [TPU, CPU], seconds=10, seed=7)
    assert plan(load, [TPU, CPU], seconds=10, seed=7) != plan(load, [TPU, CPU], seconds=10, seed=8)


def test_every_placement_is_looked_at_where_there_are_few_and_one_is_built_where_there_are_many() -> None:
    few = list(placements([model("a", 1), model("b", 1)], [TPU, CPU]))
    assert len(few) == len({tuple(sorted((name, *sorted(where)) for name, where in one.items())) for one in few}) == 9
    many = [model(f"m{number}", 1) for number in range(12)]
    devices = [PlannedDevice(f"tpu {number}", "usb3") for number in range(4)]
    (built,) = placements(many, devices)
    load: dict[str, int] = {}
    for names in built.values():
        (name,) = names
        load[name] = load.get(name, 0) + 1
    assert load == {device.name: 3 for device in devices}


def test_a_plan_without_models_devices_or_requests_is_refused() -> None:
    for models, devices, seconds, message in (
        ([], [TPU], 10.0, "at least one model"),
        ([model("a", 1)], [], 10.0, "at least one device"),
        ([model("a", 1), model("a", 1)], [TPU], 10.0, "named twice"),
        ([model("a", 1)], [TPU], 0.0, "nothing to simulate"),
        ([model("a", 1e-6)], [TPU], 1.0, "no request comes"),
        ([model("a", 1e5)], [TPU], 60.0, "take fewer seconds"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(models, devices, seconds=seconds, seed=7)
