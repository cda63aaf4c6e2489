"""Why a task ran where it ran, in a sentence: part of every answer's provenance."""

from collections.abc import Iterable

from edge_runtime.device import Device
from edge_runtime.scheduler import Reason


def reason_for(reason: Reason, chosen: Device, devices: Iterable[Device], model: str | None, waited_s: float) -> str:
    """`devices`: all of the node; `waited_s`: how long the task waited since no device served it, 0 where one did."""
    told = _place(reason, chosen, [device for device in devices if device.config.accelerator], model)
    return f"{told}; it was queued for {waited_s:.1f} s until a device was back" if waited_s else told


def _place(reason: Reason, chosen: Device, accelerators: list[Device], model: str | None) -> str:
    if reason is Reason.AVOIDED:
        return f"{chosen.name} ran it again after the faster device had failed on it"
    if reason is Reason.SPILLED:
        return f"{chosen.name} was free sooner than a faster device"
    if chosen.config.accelerator:
        return f"{chosen.name} is the fastest device in service for this model"
    return _beside(chosen, accelerators, model)


def _beside(cpu: Device, accelerators: list[Device], model: str | None) -> str:
    """Why a CPU, when no accelerator was passed over for it."""
    if not accelerators:
        return f"{cpu.name} is the only kind of device of this node"
    if model is None:
        return f"{cpu.name} draws: no model is needed"
    able = [device for device in accelerators if device.may_serve(model)]
    out = next((device for device in able if not device.serving), None)
    if out is not None:
        why = f"is out of service ({out.health.fault})" if out.health.fault else "is still starting"
        return f"{out.name} {why}: {cpu.name} took its place"
    if not able:
        return f"no accelerator of this node has a variant of the model {model}"
    return f"{cpu.name} is the fastest device in service for this model"
