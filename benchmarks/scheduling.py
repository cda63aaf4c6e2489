"""What the scheduler gains over first come, first served: reloads, latency, deadlines, fair shares, and what a decision
costs.

    .venv/bin/python benchmarks/scheduling.py [--requests 10000] [--plot docs/images/scheduling.png]

Prints JSON. Everything but `decision_us` is in virtual time: the real scheduler over Edge TPUs that take what
edge_runtime/timing.py says, so the figures are the same on every machine and none was measured on a device. The models
are three packages of this repository (MODELS); requests alternate strictly between them and come at random times, with 0.5 s
to the deadline. Decoding is left out, so that the device is what is short.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from edge_runtime.embedded import package_folders
from edge_runtime.scheduler import Priority, Scheduler, Ticket
from edge_runtime.simulation import (
    Fifo,
    Outcome,
    Policy,
    Request,
    SimulatedTpu,
    Stream,
    Work,
    arrivals,
    quantile,
    simulate,
)
from edge_runtime.timing import BUSES, load_s, profile_of, run_s
from edge_runtime.wire import ModelCost
from gateway.console.plan_input import package_files

DEADLINE_S = 0.5
MAX_WAITING = 256
USB3 = BUSES["usb3"]
SEED = 7
RATES_PER_TPU = (50, 100, 150, 180, 200, 220, 250, 300, 350, 400, 450, 500)
POLICIES: dict[str, Callable[[], Policy]] = {
    "fifo": lambda: Fifo(MAX_WAITING),
    "scheduler": lambda: Scheduler(max_waiting=MAX_WAITING, max_waiting_bytes=1 << 40),
}
MODELS = ("breast_ultrasound", "lung_ultrasound", "crop_peanut")
TITLES = {"fifo": "first come, first served", "scheduler": "Hedgerow's scheduler"}


def shipped_work() -> dict[str, Work]:
    """Models of this repository; their time on a CPU isn't used."""
    files = package_files(package_folders(()))
    return {name: Work(profile_of(files[name], name=name), 1.0) for name in MODELS}


def alternating(work: dict[str, Work], rate: float, count: int) -> list[Request]:
    """Requests for one model after the other, at random times."""
    chance, at, requests = random.Random(SEED), 0.0, []
    streams = [Stream(name, rate / len(work), DEADLINE_S) for name in work]
    for number in range(count):
        at += chance.expovariate(rate)
        requests.append(Request(at, streams[number % len(streams)]))
    return requests


def summary(outcomes: Sequence[Outcome], devices: Sequence[SimulatedTpu]) -> dict[str, Any]:
    """Shares of all requests; milliseconds of those that were answered, late ones included."""
    ends = Counter(outcome.end for outcome in outcomes)
    latencies = [outcome.latency_s for outcome in outcomes if outcome.end in {"answered", "late"}]
    ran = sum(bool(outcome.device) for outcome in outcomes)
    return {
        "reloads": sum(device.reloads for device in devices),
        "reloads_per_run": round(sum(device.reloads for device in devices) / max(1, ran), 4),
        **{f"p{round(share * 100)}_ms": round(quantile(latencies, share) * 1000, 1) for share in (0.5, 0.95, 0.99)},
        "in_time": ends["answered"] / len(outcomes),
        "late_or_expired": (ends["late"] + ends["expired"]) / len(outcomes),
        "refused": ends["refused"] / len(outcomes),
    }


def loads(count: int, tpus: int) -> list[dict[str, Any]]:
    """Both policies at each load."""
    work, rows = shipped_work(), []
    for rate in (tpus * each for each in RATES_PER_TPU):
        row: dict[str, Any] = {"requests_per_s": rate}
        for name, policy in POLICIES.items():
            devices = [SimulatedTpu(f"tpu-{number}", USB3, work) for number in range(tpus)]
            row[name] = summary(simulate(alternating(work, rate, count), devices, policy()), devices)
        rows.append(row)
    return rows


def fairness(seconds: float = 30.0) -> dict[str, Any]:
    """One model, one TPU: a tenant that asks for twice what the device can do, and one that asks for a tenth of it."""
    name, work = next(iter(shipped_work().items()))
    capacity = 1 / run_s(work.profile, USB3)
    streams = [Stream(name, 2 * capacity, DEADLINE_S, "heavy"), Stream(name, 0.1 * capacity, DEADLINE_S, "light")]
    found: dict[str, Any] = {"heavy_per_s": round(2 * capacity), "light_per_s": round(0.1 * capacity)}
    for title, policy in POLICIES.items():
        devices = [SimulatedTpu("tpu", USB3, {name: work})]
        outcomes = simulate(arrivals(streams, seconds, SEED), devices, policy())
        found[title] = {
            tenant: summary([o for o in outcomes if o.request.stream.tenant == tenant], devices)
            for tenant in ("heavy", "light")
        }
    return found


def decision_us(waiting: int, tpus: int, tenants: int, cycles: int = 3000) -> dict[str, float]:
    """Real microseconds of processor time to take in a task, finish one and choose the next, with so many waiting."""
    work = shipped_work()
    costs = {name: ModelCost(run_s(own.profile, USB3), load_s(own.profile, USB3)) for name, own in work.items()}
    made = Scheduler(max_waiting=2 * waiting, max_waiting_bytes=1 << 40)
    names, chance, now = list(work), random.Random(SEED), 0.0
    for number in range(tpus):
        made.worker_ready(f"tpu-{number}", 2, costs, accelerator=True)
    made.worker_ready("cpu", 2, {name: ModelCost(0.03) for name in work}, accelerator=False)

    def ticket(number: int) -> Ticket:
        deadline, tenant = now + 1000 + chance.random(), f"tenant {chance.randrange(tenants)}"
        return Ticket(number, Priority.INTERACTIVE, deadline, 1, tenant, chance.choice(names))

    for number in range(waiting):
        made.offer(ticket(number), now)
    running = [(one.worker, one.task_id) for one in made.assign(now)]
    spent = []
    for number in range(waiting, waiting + cycles):
        new, now = ticket(number), now + 0.002
        began = time.process_time_ns()
        made.finished(*running.pop(0), now)
        made.offer(new, now)
        running += [(one.worker, one.task_id) for one in made.assign(now)]
        spent.append((time.process_time_ns() - began) / 1000)
    return {"median": round(statistics.median(spent), 1), "p99": round(quantile(spent, 0.99), 1)}


def plot(report: dict[str, Any], path: Path) -> None:
    """Reloads, tail latency and kept deadlines over the load, for one and for three TPUs; and the two tenants."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 7), constrained_layout=True)
    figure.suptitle(f"{report['requests']:,} requests that alternate between three models. "
                    "Simulated from published figures of the Edge TPU (USB 3), not measured on a device", fontsize=11)
    colours = {"fifo": "#b5651d", "scheduler": "#2e6e4e"}
    panels = (("reloads_per_run", "reloads of parameters a run"), ("p99_ms", "99th percentile of the latency, ms"),
              ("in_time", "answered within 0.5 s"))
    for row, tpus in enumerate(("1", "3")):
        for axis, (key, title) in zip(axes[row], panels, strict=True):
            for name, colour in colours.items():
                rates = [one["requests_per_s"] for one in report["alternating"][tpus]]
                values = [one[name][key] for one in report["alternating"][tpus]]
                axis.plot(rates, values, color=colour, marker="o", markersize=4, label=TITLES[name])
            axis.set_title(f"{title}, {tpus} TPU{'s' if tpus != '1' else ''}", fontsize=10)
            axis.set_xlabel("requests a second")
            axis.set_ylim(0, None if key == "p99_ms" else 1.05)
            axis.grid(alpha=0.3)
            if key == "in_time":
                axis.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
    axes[0][0].legend(loc="lower left", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def carried(rows: Sequence[dict[str, Any]], policy: str) -> int:
    """The highest of the loads up to which at least 99 % of all requests were answered in time."""
    best = 0
    for row in rows:
        if row[policy]["in_time"] < 0.99:
            break
        best = row["requests_per_s"]
    return best


def main() -> None:
    """Runs all and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--plot", type=Path)
    wanted = parser.parse_args()
    rows = {str(tpus): loads(wanted.requests, tpus) for tpus in (1, 2, 3)}
    report: dict[str, Any] = {
        "simulated": True,
        "requests": wanted.requests,
        "models_ms": {
            name: {"run": round(run_s(own.profile, USB3) * 1000, 2), "reload": round(load_s(own.profile, USB3) * 1000, 2)}
            for name, own in shipped_work().items()
        },
        "carried_per_s": {tpus: {name: carried(own, name) for name in POLICIES} for tpus, own in rows.items()},
        "alternating": rows,
        "fairness": fairness(),
        "decision_us": {
            f"{waiting} waiting, {tpus} TPUs and a CPU, {tenants} tenants": decision_us(waiting, tpus, tenants)
            for waiting, tpus, tenants in ((16, 1, 3), (256, 1, 3), (256, 3, 3), (256, 3, 100))
        },
    }
    if wanted.plot is not None:
        plot(report, wanted.plot)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
