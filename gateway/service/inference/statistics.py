"""What was asked of each model over the protocol, and how long it took, since this gateway started; by tenant."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_STAGES: Mapping[str, tuple[str, ...]] = {
    "queue": ("queue",), "compute_input": ("decode", "preprocess"), "compute_infer": ("infer",),
    "compute_output": ("postprocess",),
}
"""The protocol's durations by the stages that we time."""


@dataclass(slots=True)
class Tally:
    """Of one model and version. Durations are nanoseconds."""

    succeeded: int = 0
    failed: int = 0
    last_ms: int = 0
    """When the last inference ended, in milliseconds since 1970."""
    success_ns: int = 0
    fail_ns: int = 0
    stages_ns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_STAGES, 0))

    def add(self, other: "Tally") -> None:
        """Counts the other's as well."""
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.last_ms = max(self.last_ms, other.last_ms)
        self.success_ns += other.success_ns
        self.fail_ns += other.fail_ns
        for stage, spent_ns in other.stages_ns.items():
            self.stages_ns[stage] += spent_ns


class Statistics:
    """Counts inferences. Use from one event loop. Memory grows with tenants times models, not with inferences."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], Tally] = defaultdict(Tally)

    def succeeded(self, tenant: str, model: str, version: str, took_s: float, timings_ms: Mapping[str, float]) -> None:
        """An inference was answered. `timings_ms`: by stage, as in an answer's provenance."""
        tally = self._tallies[tenant, model, version]
        tally.succeeded += 1
        tally.last_ms = time.time_ns() // 1_000_000
        tally.success_ns += _ns(took_s * 1000)
        for name, stages in _STAGES.items():
            tally.stages_ns[name] += _ns(sum(timings_ms.get(stage, 0.0) for stage in stages))

    def failed(self, tenant: str, model: str, version: str, took_s: float) -> None:
        """An inference ended in an error."""
        tally = self._tallies[tenant, model, version]
        tally.failed += 1
        tally.fail_ns += _ns(took_s * 1000)

    def documents(self, models: Iterable[tuple[str, str]], tenant: str | None) -> list[dict[str, Any]]:
        """The protocol's documents of models (name, version). `tenant`: whose alone; None is everybody's."""
        return [_document(name, version, self._sum(name, version, tenant)) for name, version in models]

    def _sum(self, name: str, version: str, tenant: str | None) -> Tally:
        total = Tally()
        for (whose, *model), tally in self._tallies.items():
            if model == [name, version] and tenant in {None, whose}:
                total.add(tally)
        return total


def _document(name: str, version: str, tally: Tally) -> dict[str, Any]:
    def spent(stage_ns: int, count: int = tally.succeeded) -> dict[str, int]:
        return {"count": count, "ns": stage_ns}

    stages = {stage: spent(spent_ns) for stage, spent_ns in tally.stages_ns.items()}
    batches = [{"batch_size": 1, **{stage: value for stage, value in stages.items() if stage != "queue"}}]
    return {
        "name": name,
        "version": version,
        "last_inference": tally.last_ms,
        "inference_count": tally.succeeded,
        "execution_count": tally.succeeded,
        "inference_stats": {
            "success": spent(tally.success_ns), "fail": spent(tally.fail_ns, tally.failed), **stages,
            "cache_hit": spent(0, 0), "cache_miss": spent(0, 0),
        },
        "batch_stats": batches if tally.succeeded else [],
        "memory_usage": [],
        "response_stats": {},
    }


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1_000_000)
