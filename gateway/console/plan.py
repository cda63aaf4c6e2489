"""`hedgerow plan`: shows what planner.py found, for people and for scripts."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from edge_runtime.planner import CPU_S_PER_MAC, Figures, ModelFigures, Placement, Plan, PlannedDevice, PlannedModel
from edge_runtime.simulation import TPU_SLOTS
from edge_runtime.timing import BUSES, load_s, run_s

TITLE = "SIMULATED from published figures of the Edge TPU: nothing of this was measured on a device"


def assumptions(
    models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], seconds: float, seed: int
) -> list[str]:
    """What the numbers rest on."""
    told = [
        f"{seconds:g} s of requests in virtual time, seed {seed}; the real scheduler with its default rules.",
        "Edge TPU: edge_runtime/timing.py, fitted to Coral's table at full clock; most models come out within 30 %.",
        f"{TPU_SLOTS} requests at a time on an Edge TPU: one is decoded while the other one's model runs.",
    ]
    if any(not device.bus for device in devices):
        told.append(f"CPU: {CPU_S_PER_MAC * 1e12:.0f} ps for each multiplication with addition, as one core of an AMD "
                    "EPYC server takes; give cpu_ms for yours. Decoding for the Edge TPUs is taken to need no core of it.")
    told.append("Beside the model a request takes host_ms (decoding and the like), by default that of a small scan: "
                + ", ".join(f"{model.name} {model.work.host_s * 1000:g} ms" for model in models) + ".")
    if all(model.work.invocations == 1 for model in models):
        told.append("One invocation a request; a picture that is cut into tiles takes one for each: say invocations=N.")
    told.append("No network and no faults. On PCIe the clock falls with a modelled temperature; USB devices don't "
                "throttle.")
    return told


def plan_to_json(
    plan: Plan, models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], told: Sequence[str]
) -> dict[str, Any]:
    """The plan as a document; times in milliseconds, shares from 0 to 1."""
    return {
        "simulated": True,
        "assumptions": list(told),
        "models": {
            model.name: {
                "requests_per_s": model.stream.rate_per_s, "pattern": model.stream.pattern,
                "deadline_s": model.stream.deadline_s,
                "parameter_bytes": model.work.profile.parameter_bytes, "cpu_ms": _ms(model.work.cpu_s),
                "host_ms": _ms(model.work.host_s), "invocations": model.work.invocations,
                "tpu_ms": {bus: _ms(run_s(model.work.profile, BUSES[bus])) for bus in _buses(devices)},
                "reload_ms": {bus: _ms(load_s(model.work.profile, BUSES[bus])) for bus in _buses(devices)},
            } for model in models
        },
        "scheduled": _figures_to_json(plan.scheduled),
        "first_come_first_served": _figures_to_json(plan.fifo),
        "best_fixed_placement": plan.fixed and {
            "placement": {model: sorted(names) for model, names in plan.fixed[0].items()},
            **_figures_to_json(plan.fixed[1]),
        },
        "compiled_together": plan.compiled and _figures_to_json(plan.compiled),
        "with_one_more_device": plan.extended and {"bus": plan.extended[0].bus, **_figures_to_json(plan.extended[1])},
        "recommendation": list(plan.recommendation),
    }


def plan_tables(
    plan: Plan, models: Sequence[PlannedModel], devices: Sequence[PlannedDevice], told: Sequence[str]
) -> RenderableType:
    """The plan for a person."""
    return Group(
        f"[bold]{TITLE}[/bold]\n",
        _models_table(plan.scheduled, models, devices), _devices_table(plan.scheduled), _ways_table(plan),
        "\n[bold]So[/bold]", *(f"  {escape(sentence)}" for sentence in plan.recommendation),
        "\n[bold]What this rests on[/bold]", *(f"  {escape(sentence)}" for sentence in told),
    )


def _models_table(figures: Figures, models: Sequence[PlannedModel], devices: Sequence[PlannedDevice]) -> Table:
    shown = Table(title="What callers see", title_justify="left")
    shown.add_column("model", overflow="fold", min_width=12)
    for column in ("requests/s", "deadline", "run + reload", "p50", "p95", "p99", "in time", "late", "refused"):
        shown.add_column(column, justify="right")
    for model in models:
        profile = model.work.profile
        times = [f"{run_s(profile, BUSES[bus]) * 1000:.1f} + {load_s(profile, BUSES[bus]) * 1000:.1f} ms on {bus}"
                 for bus in _buses(devices)]
        if any(not device.bus for device in devices):
            times.append(f"{model.work.cpu_s * 1000:.1f} ms on cpu")
        shown.add_row(
            escape(model.name), f"{model.stream.rate_per_s:g}", f"{model.stream.deadline_s:g} s", "\n".join(times),
            *_shares(figures.models[model.name]),
        )
    return shown


def _devices_table(figures: Figures) -> Table:
    shown = Table(title="What the devices do", title_justify="left")
    shown.add_column("device")
    for column in ("busy", "answers/s", "reloads/s"):
        shown.add_column(column, justify="right")
    for name, device in figures.devices.items():
        shown.add_row(name, f"{device.utilisation:.0%}", f"{device.answers_per_s:.1f}", f"{device.reloads_per_s:.1f}")
    return shown


def _ways_table(plan: Plan) -> Table:
    shown = Table(title="Other ways, with the same requests", title_justify="left")
    shown.add_column("way")
    for column in ("reloads/s", "p50", "p95", "p99", "in time", "late", "refused"):
        shown.add_column(column, justify="right")
    ways: list[tuple[str, Figures | None]] = [
        ("Hedgerow's scheduler, every model on every device", plan.scheduled),
        ("first come, first served", plan.fifo),
    ]
    if plan.fixed is not None:
        ways.append((f"best fixed placement:\n{_places(plan.fixed[0])}", plan.fixed[1]))
    ways.append(("all models compiled together", plan.compiled))
    if plan.extended is not None:
        ways.append((f"one more Edge TPU ({plan.extended[0].bus})", plan.extended[1]))
    for way, figures in ways:
        if figures is not None:
            shown.add_row(escape(way), f"{figures.reloads_per_s:.1f}", *_shares(figures.total))
    return shown


def _places(placement: Placement) -> str:
    return "\n".join(f"  {model}: {', '.join(sorted(names))}" for model, names in placement.items())


def _shares(figures: ModelFigures) -> tuple[str, ...]:
    answered = figures.p99_s > 0
    times = (figures.p50_s, figures.p95_s, figures.p99_s)
    return (
        *(f"{seconds * 1000:.1f} ms" if answered else "-" for seconds in times),
        *(f"{share:.1%}" for share in (figures.in_time, figures.late, figures.refused)),
    )


def _figures_to_json(figures: Figures) -> dict[str, Any]:
    return {
        "total": _model_to_json(figures.total),
        "models": {name: _model_to_json(own) for name, own in figures.models.items()},
        "devices": {
            name: {"utilisation": round(device.utilisation, 4), "answers_per_s": round(device.answers_per_s, 3),
                   "reloads_per_s": round(device.reloads_per_s, 3)} for name, device in figures.devices.items()
        },
    }


def _model_to_json(figures: ModelFigures) -> dict[str, Any]:
    return {
        "requests": figures.requests, "in_time": round(figures.in_time, 4), "late": round(figures.late, 4),
        "refused": round(figures.refused, 4),
        "p50_ms": _ms(figures.p50_s), "p95_ms": _ms(figures.p95_s), "p99_ms": _ms(figures.p99_s),
    }


def _buses(devices: Iterable[PlannedDevice]) -> list[str]:
    return sorted({device.bus for device in devices if device.bus})


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
