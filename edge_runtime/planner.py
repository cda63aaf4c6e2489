"""What to expect of models and devices before either is bought: the real scheduler in virtual time (simulation.py).

Three questions are answered with the same requests: how the load goes with the scheduler choosing the device for each
task, whether a fixed placement of models on devices would do better, and what else would help. Every number is a
simulated one.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edge_runtime.scheduler import Scheduler
from edge_runtime.simulation import (
    TPU_SLOTS,
    Fifo,
    Outcome,
    Policy,
    Request,
    SimulatedCpu,
    SimulatedDevice,
    SimulatedTpu,
    Stream,
    Work,
    arrivals,
    quantile,
    simulate,
)
from edge_runtime.timing import BUSES, CACHE_BYTES, load_s, run_s

MAX_REQUESTS = 200_000
MAX_SEARCHED = 5_000
"""Placements that are all compared by rule of thumb; with more, one is built model by model."""
SIMULATED_PLACEMENTS = 3
"""Of the placements, those that look best are simulated."""
MAX_WAITING = 256
"""As the setting of that name."""
ENOUGH = 0.99
"""A load is carried where this share is answered in time."""
BUSY = 0.85
"""An Edge TPU that is busy for a smaller share of the time isn't what is short."""
BETTER = 0.9
"""A way is worth telling where its median or its 95th percentile is below this share of the other's."""

CPU_S_PER_MAC = 34e-12
"""Measured on one core of an AMD EPYC server under LiteRT 2.3: 34 ps for each multiplication with addition of an int8
model, in three packages of this repository (breast, lung, peanut: 289 and 778 million of them). A Raspberry Pi takes
several times as long.
"""
HOST_S = 4e-3
"""Measured there too: decoding, resizing and the answer's own work for a scan of 0.2 megapixels."""

Placement = Mapping[str, frozenset[str]]
"""For each model the devices that serve it."""


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """One device. `bus`: of an Edge TPU; empty for a CPU, which has `cores`."""

    name: str
    bus: str = ""
    cores: int = 1


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A model and its load: one stream of requests, and what each of them takes."""

    stream: Stream
    work: Work

    @property
    def name(self) -> str:
        """The model's name."""
        return self.stream.model


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What callers of one model see. Latencies are seconds, from request to answer; the others are shares of all
    requests.
    """

    requests: int
    in_time: float
    late: float
    refused: float
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """What one device does: the share of the time in which it works, and answers and reloads of parameters a second."""

    utilisation: float
    answers_per_s: float
    reloads_per_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How a load goes. `total` is of all requests together."""

    total: ModelFigures
    models: Mapping[str, ModelFigures]
    devices: Mapping[str, DeviceFigures]

    @property
    def reloads_per_s(self) -> float:
        """Of all devices."""
        return sum(device.reloads_per_s for device in self.devices.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer. `fixed` is the best placement that was found and how it goes, None where there is but one;
    `compiled`: the same devices with all models compiled together, None where that isn't possible; `extended`: with one
    more device, which is its first item, None where the load is carried.
    """

    scheduled: Figures
    fifo: Figures
    fixed: tuple[Placement, Figures] | None
    compiled: Figures | None
    extended: tuple[PlannedDevice, Figures] | None
    recommendation: Sequence[str]


def plan(models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], *, seconds: float, seed: int) -> Plan:
    """Simulates `seconds` of the load. The same arguments give the same plan.

    Raises ValueError where there are no models or devices, two of one name, no time, no request in it, or more than
    MAX_REQUESTS.
    """
    _check(models, devices, seconds)
    requests = arrivals([model.stream for model in models], seconds, seed)
    if not requests:
        raise ValueError(f"no request comes in {seconds:g} s at these rates: take more seconds")
    everywhere = {model.name: frozenset(device.name for device in devices) for model in models}
    scheduled = evaluate(models, devices, everywhere, requests)
    fifo = evaluate(models, devices, everywhere, requests, policy=Fifo(MAX_WAITING))
    others = (placement for placement in placements(models, devices) if placement != everywhere)
    best = sorted(others, key=lambda placement: _guess_s(models, devices, placement))
    tried = [(placement, evaluate(models, devices, placement, requests)) for placement in best[:SIMULATED_PLACEMENTS]]
    fixed = max(tried, key=lambda one: _goodness(one[1]), default=None)
    together = _compiled_together(models, devices)
    compiled = evaluate(together, devices, everywhere, requests) if together else None
    extended = None
    if scheduled.total.in_time < ENOUGH:
        more = _one_more(devices)
        wider = {name: served | {more.name} for name, served in everywhere.items()}
        extended = more, evaluate(models, [*devices, more], wider, requests)
    told = Plan(scheduled, fifo, fixed, compiled, extended, ())
    return replace(told, recommendation=recommend(told, devices))


def evaluate(
    models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], placement: Placement, requests: Sequence[Request],
    *, policy: Policy | None = None,
) -> Figures:
    """How these requests go with each model on the devices of `placement`, by default under the scheduler."""
    made = [_simulated(device, {model.name: model.work for model in models if device.name in placement[model.name]})
            for device in devices]
    outcomes = simulate(requests, made, policy or Scheduler(max_waiting=MAX_WAITING, max_waiting_bytes=1 << 40))
    ended_s = max((outcome.ended or outcome.request.at for outcome in outcomes), default=1.0)
    by_model = {model.name: [o for o in outcomes if o.request.stream.model == model.name] for model in models}
    answers = {device.name: 0 for device in made}
    for outcome in outcomes:
        if outcome.device:
            answers[outcome.device] += 1
    return Figures(
        _figures(outcomes),
        {name: _figures(own) for name, own in by_model.items()},
        {device.name: DeviceFigures(device.busy_s / device.parallel / ended_s, answers[device.name] / ended_s,
                                    device.reloads / ended_s) for device in made},
    )


def placements(models: Sequence[PlannedModel], devices: Sequence[PlannedDevice]) -> Iterator[Placement]:
    """Every placement of the models where there are few, and one that is built greedily where there are many."""
    subsets = [frozenset(chosen) for size in range(1, len(devices) + 1)
               for chosen in itertools.combinations([device.name for device in devices], size)]
    if len(subsets) ** len(models) <= MAX_SEARCHED:
        names = [model.name for model in models]
        yield from (dict(zip(names, chosen, strict=True)) for chosen in itertools.product(subsets, repeat=len(models)))
    else:
        yield _greedy(models, devices)


def recommend(plan: Plan, devices: Iterable[PlannedDevice]) -> list[str]:
    """What follows from the figures, in sentences."""
    total = plan.scheduled.total
    told = []
    if total.in_time >= ENOUGH:
        told.append(f"These devices carry the load: {total.in_time:.1%} answered in time.")
    else:
        told.append(f"These devices don't carry the load: {1 - total.in_time:.1%} of the requests are refused or late.")
        busy = max((plan.scheduled.devices[device.name].utilisation for device in devices if device.bus), default=1.0)
        if busy < BUSY:
            told.append(f"The Edge TPUs are busy for {busy:.0%} of the time at most: what is short is decoding "
                        f"(host_ms), of which {TPU_SLOTS} at a time are done for each.")
    if plan.extended is not None:
        more, figures = plan.extended
        kind = f"Edge TPU on {BUSES[more.bus].title}" if more.bus else "CPU"
        told.append(f"With one more {kind}, {figures.total.in_time:.1%} would be answered in time.")
    if plan.compiled is not None and _clearly_better(plan.compiled, plan.scheduled):
        told.append(
            "Compile the models together (edgetpu_compiler takes several files): their parameters fit into the Edge "
            f"TPU at once, so that it reloads nothing: {plan.compiled.total.in_time:.1%} in time, 95 of 100 answers "
            f"within {plan.compiled.total.p95_s * 1000:.1f} ms instead of {total.p95_s * 1000:.1f}."
        )
    if plan.fixed is not None:
        placement, figures = plan.fixed
        if _clearly_better(figures, plan.scheduled):
            where = "; ".join(f"{model} on {' and '.join(sorted(names))}" for model, names in placement.items())
            told.append(f"A fixed placement would do better than the scheduler's choice for each task: {where}.")
        else:
            told.append("Let every device serve every model: no fixed placement does clearly better than the "
                        "scheduler's choice.")
    return told


def _check(models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], seconds: float) -> None:
    for kind, names in (("model", [model.name for model in models]), ("device", [device.name for device in devices])):
        if not names:
            raise ValueError(f"name at least one {kind}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"the {kind} {twice} is named twice")
    if not seconds > 0:
        raise ValueError(f"there is nothing to simulate in {seconds:g} s")
    expected = sum(model.stream.rate_per_s for model in models) * seconds
    if expected > MAX_REQUESTS:
        raise ValueError(f"that is {expected:,.0f} requests to simulate, and {MAX_REQUESTS:,} is the most: "
                         "take fewer seconds")


def _simulated(device: PlannedDevice, work: Mapping[str, Work]) -> SimulatedDevice:
    if device.bus:
        return SimulatedTpu(device.name, BUSES[device.bus], work)
    return SimulatedCpu(device.name, device.cores, work)


def _figures(outcomes: Sequence[Outcome]) -> ModelFigures:
    ends = [outcome.end for outcome in outcomes]
    latencies_s = [outcome.latency_s for outcome in outcomes if outcome.end in {"answered", "late"}]
    count = max(1, len(outcomes))
    return ModelFigures(
        requests=len(outcomes),
        in_time=ends.count("answered") / count if outcomes else 1.0,
        late=(ends.count("late") + ends.count("expired")) / count,
        refused=ends.count("refused") / count,
        p50_s=quantile(latencies_s, 0.5), p95_s=quantile(latencies_s, 0.95), p99_s=quantile(latencies_s, 0.99),
    )


def _goodness(figures: Figures) -> tuple[float, float]:
    return round(figures.total.in_time, 3), -figures.total.p95_s


def _clearly_better(one: Figures, other: Figures) -> bool:
    a, b = one.total, other.total
    more = a.in_time - b.in_time
    shares = [a.p50_s / max(b.p50_s, 1e-9), a.p95_s / max(b.p95_s, 1e-9)]
    return more > 1 - ENOUGH or (more > ENOUGH - 1 and min(shares) < BETTER and max(shares) < 1 / BETTER)


def _guess_s(models: Iterable[PlannedModel], devices: Iterable[PlannedDevice], placement: Placement) -> float:
    """A placement's mean latency in seconds by the rule of Pollaczek and Khinchine, each device a queue of its own and
    a reload whenever the model changes; overload counts as very long. Good enough to rank placements.
    """
    by_name = {device.name: device for device in devices}
    loads: dict[str, list[tuple[float, float, float]]] = {}
    for model in models:
        speeds = {name: 1 / _task_s(model.work, by_name[name]) for name in placement[model.name]}
        for name, speed in speeds.items():
            rate = model.stream.rate_per_s * speed / sum(speeds.values())
            bus = by_name[name].bus
            reload_s = load_s(model.work.profile, BUSES[bus]) if bus else 0.0
            loads.setdefault(name, []).append((rate, 1 / speed, reload_s))
    weighted = total = 0.0
    for name, load in loads.items():
        rate = sum(one[0] for one in load)
        each_s = [(part, run + reload * (1 - part / rate)) for part, run, reload in load]
        mean_s = sum(part * seconds for part, seconds in each_s) / rate
        square = sum(part * seconds**2 for part, seconds in each_s) / rate
        parallel = 1 if by_name[name].bus else by_name[name].cores
        busy = rate * mean_s / parallel
        wait_s = rate * square / parallel**2 / (2 * (1 - busy)) if busy < 1 else 1e3 * busy
        weighted += rate * (mean_s + wait_s)
        total += rate
    return weighted / total


def _greedy(models: Sequence[PlannedModel], devices: Sequence[PlannedDevice]) -> Placement:
    """The heaviest model first, each onto the device that costs least with what is there already."""
    heavy = sorted(models, key=lambda m: -m.stream.rate_per_s * min(_task_s(m.work, device) for device in devices))
    placed: dict[str, frozenset[str]] = {}
    for position, model in enumerate(heavy, start=1):
        options = [placed | {model.name: frozenset({device.name})} for device in devices]
        placed = min(options, key=lambda option: _guess_s(heavy[:position], devices, option))
    return {model.name: placed[model.name] for model in models}


def _task_s(work: Work, device: PlannedDevice) -> float:
    """Seconds for which a task keeps the device from others."""
    if not device.bus:
        return work.host_s + work.invocations * work.cpu_s
    return max(work.invocations * run_s(work.profile, BUSES[device.bus]), work.host_s / TPU_SLOTS)


def _compiled_together(models: Sequence[PlannedModel], devices: Iterable[PlannedDevice]) -> Sequence[PlannedModel]:
    """The same models as one co-compiled group; empty where that isn't possible or changes nothing."""
    fits = sum(model.work.profile.parameter_bytes for model in models) <= CACHE_BYTES
    if len(models) < 2 or not fits or not any(device.bus for device in devices):
        return ()
    return [replace(m, work=replace(m.work, profile=replace(m.work.profile, group="together"))) for m in models]


def _one_more(devices: Sequence[PlannedDevice]) -> PlannedDevice:
    """Another Edge TPU of the fastest kind that is there, or one on USB 3."""
    buses = [device.bus for device in devices if device.bus]
    bus = max(buses, key=lambda name: BUSES[name].bytes_per_s, default="usb3")
    return PlannedDevice("one more", bus)

