"""Half an hour at nine tenths of what the gateway can do: memory, errors and slow answers, minute by minute.

    .venv/bin/python benchmarks/soak.py --data DIR [--minutes 30] [--quick]

The load is paced: a request that comes late because the one before it took long counts from when it was due. Writes var/soak.json,
and unless --quick docs/images/soak.png and the place `soak` in docs/performance.md. DIR: as in benchmarks/serving.py.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks import serving_gateway as gateways
from benchmarks.serving import PAGE, TFLITE, machine
from benchmarks.serving_photos import photo
from benchmarks.serving_process import memory_mb, tree
from benchmarks.serving_rounds import Plan, cores_for, loaded
from benchmarks.serving_servers import Site
from benchmarks.serving_tables import put
from tests.gateway_process import ROOT, SAMPLES

SHARE = 0.9
CALLERS = 16
KEEP_IMAGES_HOURS = "0.1"
"""Half an hour's pictures fill 80 GB. So they go after six minutes, while answers go on."""
GROWTH = 1.03
"""The last quarter may hold so much more memory than the second, in which caches are full."""


def soak(site: Site, plan: Plan, minutes: int, minute_s: float) -> dict[str, Any]:
    """Capacity first, then one row a minute."""
    with gateways.running(site.path, site.models, site.new_folder(), site.cores, keep_images_hours=KEEP_IMAGES_HOURS) as gateway:
        pid, task = gateway.process.pid, gateways.rest_task(gateway, site.photo)
        capacity = loaded(pid, task, plan, CALLERS)["per_s"]
        minutely, rows = replace(plan, seconds=minute_s, warm_s=0.0), []
        for minute in range(1, minutes + 1):
            found = loaded(pid, task, minutely, CALLERS, paced_s=CALLERS / (SHARE * capacity))
            rows.append({"minute": minute, **{key: found[key] for key in ("per_s", "p50_ms", "p99_ms", "cpu_ms", "errors")},
                         **memory_mb(tree(pid))})
            print(rows[-1], file=sys.stderr)
    return {"capacity_per_s": capacity, "share": SHARE, "callers": CALLERS, "rows": rows}


def verdict(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Errors, and what the last quarter of the time has, of what the second quarter has."""
    quarter = max(1, len(rows) // 4)
    second, last = rows[quarter:2 * quarter] or rows, rows[-quarter:]
    ratio = {key: round(statistics.median(row[key] for row in last) / statistics.median(row[key] for row in second), 3)
             for key in ("pss_mb", "p99_ms")}
    errors = sum(sum(row["errors"].values()) for row in rows)
    return {"errors": errors, "pss_ratio": ratio["pss_mb"], "p99_ratio": ratio["p99_ms"], "grows": ratio["pss_mb"] > GROWTH}


def table(report: Mapping[str, Any]) -> str:
    """As Markdown."""
    found, rows = report["verdict"], report["rows"]
    said = (
        f"{len(rows)} minutes at {report['share']:.0%} of {report['capacity_per_s']:.4g} requests/s, {report['callers']} callers over REST: "
        f"{found['errors']} errors; PSS {rows[0]['pss_mb']} MB after the first minute, {rows[-1]['pss_mb']} MB at the end "
        f"(last quarter of the time: {found['pss_ratio']:.3f} of the second quarter); p99 {rows[0]['p99_ms']:.4g} ms in the first minute, "
        f"{rows[-1]['p99_ms']:.4g} ms in the last ({found['p99_ratio']:.3f})."
    )
    return f"{said}\n\n![Memory and slow answers by minute](images/soak.png)"


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Memory above, times below, errors as marks."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, constrained_layout=True)
    minutes = [row["minute"] for row in rows]
    for key, label in (("rss_mb", "RSS"), ("pss_mb", "PSS")):
        above.plot(minutes, [row[key] for row in rows], label=label)
    for key, label in (("p50_ms", "p50"), ("p99_ms", "p99")):
        below.plot(minutes, [row[key] for row in rows], label=label)
    wrong = [row["minute"] for row in rows if row["errors"]]
    below.plot(wrong, [0] * len(wrong), "rx", label="errors")
    for axis, label in ((above, "MB, all processes"), (below, "ms")):
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right")
    below.set_xlabel("minute")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Runs, and writes what came of it. The exit status is 1 where there were errors or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="four minutes of two seconds: only to see that it works")
    wanted = parser.parse_args()
    cores, load_cores = cores_for(2)
    plan = Plan(2.0 if wanted.quick else 20.0, 1.0, (CALLERS,), load_cores)
    with tempfile.TemporaryDirectory(prefix="hedgerow-soak-") as name:
        picture = Path(name) / "photo.jpg"
        picture.write_bytes(photo(SAMPLES / "field.jpg", 1280, 720))
        site = Site(Path(name), wanted.data / TFLITE, picture, b"", cores)
        report = soak(site, plan, 4 if wanted.quick else wanted.minutes, 2.0 if wanted.quick else 60.0)
    report |= {"machine": machine(cores, plan), "quick": wanted.quick, "verdict": verdict(report["rows"])}
    (ROOT / "var").mkdir(exist_ok=True)
    (ROOT / "var" / "soak.json").write_text(json.dumps(report, indent=1))
    print(table(report))
    plot(report["rows"], ROOT / ("var/soak.png" if wanted.quick else "docs/images/soak.png"))
    if not wanted.quick:
        put(PAGE, "soak", table(report))
    sys.exit(bool(report["verdict"]["errors"] or report["verdict"]["grows"]) and not wanted.quick)


if __name__ == "__main__":
    main()
