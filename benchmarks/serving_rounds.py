"""One round of benchmarks/serving.py: everybody in turn, each right after the bare loop that it is compared with."""

import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.serving_process import MALLOC, Helper, memory_mb, spent, tree
from benchmarks.serving_servers import IN_INT8, Server, Site

LOOPS = {
    "bare loop": {}, f"bare loop{IN_INT8}": {}, f"bare loop{IN_INT8} that halves first": {"halves": True},
    "invoke alone": {"invoke_alone": True}, f"invoke alone{IN_INT8}": {"invoke_alone": True},
}
"""What serving_bare.py is told of each."""
SINGLE = ", one thread"
"""After the name of a loop that runs in one process, not in one for each core."""
BESIDE = 0.3
"""Of the seconds that a measurement takes: what a loop beside a server is given. A machine shared with others changes by the minute."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each measurement takes, and with how many requests in flight."""

    seconds: float
    warm_s: float
    at_once: Sequence[int]
    load_cores: Sequence[int]


def cores_for(count: int) -> tuple[list[int], list[int]]:
    """Cores for the servers, and for their callers: others where there are any, else the same."""
    there = sorted(os.sched_getaffinity(0))
    if len(there) < count:
        raise ValueError(f"this machine lets us use {len(there)} cores, {count} are asked for")
    return there[:count], there[count:] or there


def loops(site: Site, plan: Plan, names: Iterable[str] = tuple(LOOPS)) -> dict[str, Figures]:
    """The bare loop and the model alone: on all cores, and in one process."""
    found = {}
    for name in names:
        for suffix, count in (("", len(site.cores)), (SINGLE, 1)):
            task = {"model": str(site.reencoded if IN_INT8 in name else site.tflite), "photo": str(site.photo), "seconds": plan.seconds, **LOOPS[name]}
            helpers = [Helper("serving_bare.py", task, [site.cores[number]], **MALLOC) for number in range(count)]
            for helper in helpers:
                helper.begin()
            found[name + suffix] = _joined([helper.result() for helper in helpers])
    return found


def serve(server: Server, site: Site, plan: Plan, expected: Sequence[str]) -> Figures:
    """The loops that a server is compared with, then the server with each number of requests in flight. Raises ValueError for a wrong
    answer.
    """
    beside = loops(site, replace(plan, seconds=plan.seconds * BESIDE), server.beside)
    began = time.monotonic()
    with server.running(site) as served:
        figures: Figures = {"ready_s": round(time.monotonic() - began, 2), "at_rest": memory_mb(tree(served.pid)), "at_once": {}, "beside": beside}
        for at_once in plan.at_once:
            figures["at_once"][str(at_once)] = loaded(served.pid, served.task, plan, at_once)
            answer = figures["at_once"][str(at_once)].pop("answer")
            labels = server.labels(served.task, answer)
            if labels is not None and labels != list(expected):
                raise ValueError(f"{server.name} answers {labels}, the bare loop {list(expected)}")
        figures["after_load"] = memory_mb(tree(served.pid))
    return figures


def loaded(pid: int, task: Mapping[str, Any], plan: Plan, at_once: int, *, paced_s: float = 0.0) -> Figures:
    """A process tree under load. Raises RuntimeError where no request was answered."""
    load = Helper("serving_load.py", {"seconds": plan.seconds, "warm_s": plan.warm_s, "at_once": at_once, "paced_s": paced_s, **task},
                  plan.load_cores)
    before = spent(pid)
    load.begin()
    found = load.result()
    cpu_s, faults = spent(pid).since(before)
    if not found["took_ms"]:
        raise RuntimeError(f"no request was answered: {found['errors']}")
    count, wall_s = len(found["took_ms"]), found["wall_s"]
    return {
        **percentiles(found["took_ms"]), "requests": count, "per_s": round(count / wall_s, 2), "cpu_ms": round(cpu_s / count * 1000, 3),
        "faults": round(faults / count, 1), "errors": found["errors"], "answer": found["answer"],
        "callers_cores": round(found["own_cpu_s"] / wall_s, 3), "servers_cores": round(cpu_s / wall_s, 3),
    }


def percentiles(took_ms: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 in ms."""
    ordered = sorted(took_ms)
    return {f"p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}


def median(rounds: Sequence[Figures], *keys: str) -> float | None:
    """Of a figure over the rounds; None where no round has it."""
    found = []
    for figures in rounds:
        value: Any = figures
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            found.append(value)
    return statistics.median(found) if found else None


def _joined(loops: Sequence[Figures]) -> Figures:
    took_ms = [one for loop in loops for one in loop["took_ms"]]
    count = len(took_ms)
    return {
        **percentiles(took_ms), "requests": count, "per_s": round(sum(len(loop["took_ms"]) / loop["wall_s"] for loop in loops), 2),
        "cpu_ms": round(sum(loop["cpu_s"] for loop in loops) / count * 1000, 3),
        "faults": round(sum(loop["faults"] for loop in loops) / count, 1),
        "rss_mb": round(sum(loop["rss_mb"] for loop in loops), 1), "pss_mb": round(sum(loop["pss_mb"] for loop in loops), 1),
        "answer": loops[0]["answer"],
    }
