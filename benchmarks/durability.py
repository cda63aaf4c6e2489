"""Whether what was accepted is answered once: gateways, brokers and cloud workers killed with -9, bad links, files that come
twice, a full disk, a cloud that is cut off; and whether what leaves for the cloud tells of nobody.

    .venv/bin/python benchmarks/durability.py [--only NAME ...] [--quick] [--seed 5]     (or `make durability`)

Starts the real gateway for each scenario, does what clients behind bad links do, and holds what they were told against what
REST lists and what the database has. Prints tables and writes var/durability.json; a full run also brings docs/durability.md
up to date. `--only` keeps what var/durability.json has of the other scenarios. Uploads and the full disk need root, some
scenarios PostgreSQL, Redis, RabbitMQ, Tesseract, moto or tuspy: what can't run here is skipped by name. Ends with 1 where
something isn't met. docs/durability.md says how everything is measured.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.durability_cloud import killed_cloud_rabbitmq, killed_cloud_redis
from benchmarks.durability_cutoff import cloud_cut_off
from benchmarks.durability_disk import disk_full
from benchmarks.durability_gateway import Bench, SkippedError
from benchmarks.durability_kills import killed_postgres, killed_sqlite, sent_twice, two_gateways
from benchmarks.durability_private import private
from benchmarks.durability_uploads import upload, upload_killed, upload_tuspy
from benchmarks.stream_link import NoLinkError
from benchmarks.stream_runs import Outcome, Verdict
from benchmarks.streams import machine
from tests.gateway_process import ROOT

PAGE = ROOT / "docs" / "durability.md"
BEGIN, END = "<!-- figures: written by benchmarks/durability.py -->", "<!-- end of the figures -->"
SCENARIOS: dict[str, Callable[[Bench], Outcome]] = {
    "killed_sqlite": killed_sqlite, "killed_postgres": killed_postgres, "two_gateways": two_gateways, "upload": upload,
    "upload_killed": upload_killed, "upload_tuspy": upload_tuspy, "sent_twice": sent_twice, "disk_full": disk_full,
    "killed_cloud_redis": killed_cloud_redis, "killed_cloud_rabbitmq": killed_cloud_rabbitmq, "cloud_cut_off": cloud_cut_off,
    "private": private,
}
TITLES = {
    "killed_sqlite": "killed, SQLite", "killed_postgres": "killed, PostgreSQL", "two_gateways": "two gateways, one killed",
    "upload": "upload, bad link", "upload_killed": "upload, bad link, killed", "upload_tuspy": "the same with tuspy",
    "sent_twice": "each photo twice", "disk_full": "disk full",
    "killed_cloud_redis": "killed, SQLite, Redis, cloud", "killed_cloud_rabbitmq": "killed, PostgreSQL, RabbitMQ, cloud",
    "cloud_cut_off": "cloud cut off", "private": "private",
}
TALLY = ("accepted", "answered", "lost", "double", "refused", "recovery_s")
TALLY_HEADS = ("scenario", "accepted", "answered", "lost", "double", "refused", "recovery, s")
UPLOAD_HEADS = ("upload", "MB", "seconds", "bytes on the wire / of the file", "bytes handed over / of the file", "resumed")
CLOUD = ("asked", "second_opinions", "answered", "lost", "double", "departures", "again")
CLOUD_HEADS = ("of the cloud", "asked", "of these second opinions", "answered", "lost", "double", "entries of what left", "sent again")
LATENCY = ("cut_p50_ms", "without_p50_ms", "p50_ratio", "cut_p95_ms", "without_p95_ms", "p95_ratio")
LATENCY_HEADS = ("answers of the edge", "p50, cloud cut off, ms", "p50, no cloud tier, ms", "ratio",
                 "p95, cloud cut off, ms", "p95, no cloud tier, ms", "ratio")
HEADER_HEADS = ("attribute of the DICOM object", "before", "as it left")
SHOWN = ("PatientName", "PatientBirthDate", "PatientID", "PatientAddress", "StudyDescription", "ReferringPhysicianName", "TransducerType",
         "private", "StudyInstanceUID", "ReferencedSOPInstanceUID", "Modality", "BodyPartExamined", "BurnedInAnnotation")
"""Of the header; var/durability.json has all of it."""
VERDICT_HEADS = ("scenario", "must show", "found", "")
Block = tuple[tuple[str, ...], list[list[str]]]


def blocks(scenarios: dict[str, Any]) -> list[Block]:
    """The tables: heads and rows."""
    figures = {TITLES[name]: one["figures"] for name, one in scenarios.items() if one["figures"]}
    tallies = _rows(figures, "tally", TALLY)
    latencies = [[kind, *(_plain(one[name]) for name in LATENCY)]
                 for found in figures.values() for kind, one in found.get("latency", {}).items()]
    headers = [[f"`{one['attribute']}`", one["before"], one["after"] or one["what"]] for found in figures.values()
               for one in found.get("header", ()) if one["attribute"].rpartition(" ")[2] in SHOWN]
    uploads = [
        [title, f"{found['file_bytes'] / 1e6:.1f}", _plain(found["seconds"]), _plain(found["wire_over_file"]),
         _plain(found["body_over_file"]), _plain(found["resumed"])]
        for title, found in figures.items() if "wire_over_file" in found
    ]
    verdicts = [[TITLES[name], one["claim"], one["figure"], "ok" if one["ok"] else "not met"]
                for name, scenario in scenarios.items() for one in scenario["verdicts"]]
    found_blocks = (
        (TALLY_HEADS, tallies), (UPLOAD_HEADS, uploads), (CLOUD_HEADS, _rows(figures, "cloud", CLOUD)), (LATENCY_HEADS, latencies),
        (HEADER_HEADS, headers), (VERDICT_HEADS, verdicts),
    )
    return [block for block in found_blocks if block[1]]


def _rows(figures: dict[str, Any], table: str, names: tuple[str, ...]) -> list[list[str]]:
    return [[title, *(_plain(found[table][name]) for name in names)] for title, found in figures.items() if table in found]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def markdown(report: dict[str, Any]) -> str:
    """The figures as they stand in the page."""
    on, scenarios = report["machine"], report["scenarios"]
    days = sorted({one["at"][:10] for one in scenarios.values()})
    lines = [f"Measured on {' and '.join(days)}: {on['cores']} cores of {on['processor']}, Linux {on['kernel']}.", ""]
    for heads, rows in blocks(scenarios):
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines)


def show(report: dict[str, Any]) -> None:
    """The same in the terminal."""
    console = Console()
    for heads, rows in blocks(report["scenarios"]):
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
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: to see whether it works")
    parser.add_argument("--seed", type=int, default=5, help="of chance: when to kill, what is sent again")
    parser.add_argument("--json", type=Path, default=ROOT / "var" / "durability.json")
    wanted = parser.parse_args()
    report = _earlier(wanted.json)
    skipped = []
    with tempfile.TemporaryDirectory(prefix="hedgerow-durability-") as folder:
        for name in wanted.only:
            begun = time.monotonic()
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                outcome = SCENARIOS[name](Bench(Path(folder), quick=wanted.quick, seed=wanted.seed))
            except (NoLinkError, SkippedError) as error:
                skipped.append(f"{name}: skipped, {error}")
                continue
            except Exception as error:  # the others are still worth running
                print(traceback.format_exc(), file=sys.stderr)
                outcome = Outcome({}, [Verdict("it runs to its end", type(error).__name__, ok=False)])
            report["scenarios"][name] = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": wanted.quick, "seed": wanted.seed,
                "took_s": round(time.monotonic() - begun, 1), **msgspec.to_builtins(outcome),
            }
            wanted.json.parent.mkdir(parents=True, exist_ok=True)
            wanted.json.write_text(json.dumps(report, indent=1))
    scenarios = report["scenarios"] = {name: report["scenarios"][name] for name in SCENARIOS if name in report["scenarios"]}
    for line in skipped:
        print(line, file=sys.stderr)
    if not scenarios:
        sys.exit("nothing was measured")
    show(report)
    if scenarios.keys() >= SCENARIOS.keys() - {"upload_tuspy"} and not any(one["quick"] for one in scenarios.values()):
        write_page(report)
    sys.exit(not all(one["ok"] for name in wanted.only if name in scenarios for one in scenarios[name]["verdicts"]))


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
