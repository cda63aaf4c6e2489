"""What made an answer."""

from importlib.metadata import version
from typing import Any

from edge_runtime.node import Answer

SOFTWARE = f"hedgerow {version('hedgerow')}"


def provenance_of(answer: Answer) -> dict[str, Any]:
    """Model, device and node, why these, and the milliseconds of each stage."""
    timings = answer.reply.timings
    return {
        "model": answer.reply.model,
        "device": answer.device,
        "backend": answer.backend,
        "simulated": answer.simulated,
        "node": answer.node,
        "tier": "edge",
        "tier_reason": answer.reason,
        "attempts": answer.attempts,
        "timings_ms": {name: round(getattr(timings, name) * 1000, 3) for name in timings.__struct_fields__},
        "software": SOFTWARE,
    }
