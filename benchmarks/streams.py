"""What live streams cost and keep: frames answered, age of the answers, memory, slow devices, bad links, bad neighbours.

    .venv/bin/python benchmarks/streams.py [--only NAME ...] [--quick] [--minutes 10] [--clip FILE]     (or `make streams`)

Starts the real gateway for each scenario and sends it JPEG frames over gRPC from processes of their own; prints a table,
writes var/streams.json and a plot. A full run, of about 25 minutes, also brings docs/streams-measured.md and its picture up
to date. `--only` keeps what var/streams.json has of the other scenarios. The lossy link needs root. Ends with 1 where
something isn't met. docs/streams-measured.md says how everything is measured.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.stream_link import NoLinkError
from benchmarks.stream_plot import plot
from benchmarks.stream_runs import Bench
from benchmarks.stream_scenarios import SCENARIOS
from tests.gateway_process import ROOT

PAGE = ROOT / "docs" / "streams-measured.md"
PICTURE = ROOT / "docs" / "images" / "streams.png"
BEGIN, END = "<!-- figures: written by benchmarks/streams.py -->", "<!-- end of the figures -->"
TITLES = {
    "streams": "1 to 8 streams", "memory": "8 streams for long", "slow_device": "slow device", "lossy_link": "bad link",
    "batch": "batch work", "neighbours": "bad neighbours",
}


def machine() -> dict[str, Any]:
    """What it ran on."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"cores": len(os.sched_getaffinity(0)), "processor": models[0] if models else "an unnamed processor",
            "kernel": os.uname().release}


def ages_rows(scenarios: dict[str, Any]) -> list[list[str]]:
    """One row for each group of streams that ran together: name, fps, fairness, ages, drops."""
    groups: list[tuple[str, dict[str, Any]]] = []
    for name, one in scenarios.items():
        found = one["figures"]
        if name == "streams":
            groups += [(f"{row['streams']} of 30 fps", row) for row in found["rows"]]
        elif name == "slow_device":
            groups += [("simulated device", found["usual"]), (f"the same, {found['times_slower']:.1f} times slower", found)]
        elif name == "memory":
            groups.append((f"8 for {found['seconds'] / 60:.3g} min", found))
        elif name == "lossy_link":
            groups.append((f"bad link, {found['fps']:.0f} fps", found))
        else:
            groups += [(f"{TITLES[name]}: {key.replace('_', ' ')}", row) for key, row in found.items()
                       if isinstance(row, dict) and "age_ms" in row]
    return [_ages_row(title, row) for title, row in groups]


def _ages_row(title: str, row: dict[str, Any]) -> list[str]:
    rates, age, shown = row["answered_fps"], row["age_ms"], row["shown_age_ms"]
    each = f"{rates[0]:.1f}" if len(rates) == 1 else f"{min(rates):.1f} to {max(rates):.1f}"
    return [
        title, each, f"{row['fairness']:.3f}" if len(rates) > 1 else "", _milliseconds(age, "p50", "p95", "p99"),
        _milliseconds(shown, "p50", "p95", "p99"), _milliseconds(row["service_ms"], "p50"), str(row["dropped"]),
    ]


def _milliseconds(found: dict[str, float | None], *names: str) -> str:
    """Empty where nothing was measured."""
    values = [found[name] for name in names]
    return " / ".join(f"{value:.0f}" for value in values if value is not None)


AGE_HEADS = ("streams", "answered a second, each", "Jain", "age p50 / p95 / p99, ms", "shown age p50 / p95 / p99, ms", "service p50, ms",
             "dropped")
VERDICT_HEADS = ("scenario", "must show", "found", "")


def verdict_rows(scenarios: dict[str, Any]) -> list[list[str]]:
    """One row for each thing that a scenario must show."""
    return [[TITLES[name], one["claim"], one["figure"], "ok" if one["ok"] else "not met"]
            for name, scenario in scenarios.items() for one in scenario["verdicts"]]


def markdown(report: dict[str, Any]) -> str:
    """The figures as they stand in the page."""
    on, scenarios = report["machine"], report["scenarios"]
    days = sorted({one["at"][:10] for one in scenarios.values()})
    lines = [f"Measured on {' and '.join(days)}: {on['cores']} cores of {on['processor']}, Linux {on['kernel']}.", ""]
    for heads, rows in ((AGE_HEADS, ages_rows(scenarios)), (VERDICT_HEADS, verdict_rows(scenarios))):
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines)


def show(report: dict[str, Any]) -> None:
    """The same in the terminal."""
    console = Console()
    for heads, rows in ((AGE_HEADS, ages_rows(report["scenarios"])), (VERDICT_HEADS, verdict_rows(report["scenarios"]))):
        table = Table(*heads)
        for row in rows:
            table.add_row(*row, style="red" if row[-1] == "not met" else None)
        console.print(table)


def write_page(report: dict[str, Any]) -> None:
    """Puts the figures into the page, between its marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n{END}{after}")


def main() -> None:
    """Runs the scenarios asked for, and tells what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="some seconds each: to see whether it works")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long 8 streams run for the memory")
    parser.add_argument("--clip", type=Path, help="frames of this file instead of a still that moves")
    parser.add_argument("--json", type=Path, default=ROOT / "var" / "streams.json")
    wanted = parser.parse_args()
    report = _earlier(wanted.json)
    skipped = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), clip=wanted.clip, quick=wanted.quick, minutes=wanted.minutes)
        for name in wanted.only:
            begun = time.monotonic()
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                outcome = SCENARIOS[name](bench)
            except NoLinkError as error:
                skipped.append(f"{name}: skipped, {error}")
                continue
            report["scenarios"][name] = _without_nan({
                "at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": wanted.quick, "clip": str(wanted.clip or ""),
                "took_s": round(time.monotonic() - begun, 1), "frame_bytes": bench.frame_bytes, **msgspec.to_builtins(outcome),
            })
            wanted.json.parent.mkdir(parents=True, exist_ok=True)
            wanted.json.write_text(json.dumps(report, indent=1))
    scenarios = report["scenarios"] = {name: report["scenarios"][name] for name in SCENARIOS if name in report["scenarios"]}
    for line in skipped:
        print(line, file=sys.stderr)
    if not scenarios:
        sys.exit("nothing was measured")
    show(report)
    plot(report, wanted.json.with_suffix(".png"))
    if len(scenarios) == len(SCENARIOS) and not any(one["quick"] or one["clip"] for one in scenarios.values()):
        plot(report, PICTURE)
        write_page(report)
    sys.exit(not all(one["ok"] for name in wanted.only if name in scenarios for one in scenarios[name]["verdicts"]))


def _without_nan(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what couldn't be measured is null."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return plain


def _earlier(path: Path) -> dict[str, Any]:
    """What an earlier run on this machine wrote, or an empty report."""
    report: dict[str, Any] = {"machine": machine(), "scenarios": {}}
    if path.exists():
        found = json.loads(path.read_text())
        if found.get("machine") == report["machine"]:
            report["scenarios"] = found["scenarios"]
    return report


if __name__ == "__main__":
    main()
