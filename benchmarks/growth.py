"""What growth costs: workers, models, stored analyses, connections, photo size, one at a time.

    .venv/bin/python benchmarks/growth.py --data DIR [--only workers,models,stored,connections,photos] [--quick]

Each step has a cost that must stay flat or grow no faster than linearly; what is worse is named, and the exit status is 1. Writes
var/growth.json, and unless --quick the place `growth` in docs/performance.md. DIR: as in benchmarks/serving.py.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import serving_gateway as gateways
from benchmarks.growth_rows import fill
from benchmarks.serving import PAGE, TFLITE, machine
from benchmarks.serving_photos import photo
from benchmarks.serving_process import memory_mb, tree
from benchmarks.serving_rounds import Plan, cores_for, loaded
from benchmarks.serving_servers import Site
from benchmarks.serving_tables import put
from tests.gateway_process import ROOT, SAMPLES, GatewayProcess

FLAT, STEEP = 1.15, 1.25
"""A flat cost may be so many times that of the first row; a linear one's slope so many times the steepest before."""
LISTINGS: tuple[dict[str, str], ...] = (
    {}, {"domain": gateways.DOMAIN}, {"label": "class 7"}, {"abstained": "true"}, {"model": gateways.MODEL, "label": "class 7"},
)
LISTED = 50
Row = dict[str, Any]


def workers(site: Site, plan: Plan, *, quick: bool) -> list[Row]:
    """Threads that run models."""
    return [_row(site, plan, number, 4, workers=str(number)) for number in ((1, 2) if quick else (1, 2, 4))]


def models(site: Site, plan: Plan, *, quick: bool) -> list[Row]:
    """Packages loaded, of which one is asked."""
    rows = []
    for number in (1, 2) if quick else (1, 2, 4, 8):
        folder = site.folder / f"models-{number}"
        for copy in range(number):
            gateways.package(folder, site.reencoded, name=gateways.MODEL if copy == 0 else f"{gateways.MODEL}_{copy}")
        rows.append(_row(site, plan, number, 4, models=folder))
    return rows


def stored(site: Site, plan: Plan, *, quick: bool) -> list[Row]:
    """Rows in the store: what a request costs, and pages of the listing, the newest and one from the middle."""
    rows = []
    for number in (0, 20_000 if quick else 1_000_000):
        data = site.new_folder()
        with gateways.running(site.path, site.models, data, site.cores) as gateway, gateway.rest() as client:
            client.post(f"/v1/domains/{gateways.DOMAIN}/analyses", params={"model": gateways.MODEL}, content=site.photo.read_bytes())
            key = gateway.key
        if number:
            fill(data / "hedgerow.db", number)
        with gateways.running(site.path, site.models, data, site.cores) as gateway:
            gateway.key = key
            rows.append({"x": number, **_figures(gateway, site.photo, plan, 4), "listing_ms": _listing_ms(gateway)})
    return rows


def connections(site: Site, plan: Plan, *, quick: bool) -> list[Row]:
    """Connections with a request in flight on each."""
    return [_row(site, plan, number, number, max_waiting="2000", timeout_s="120") for number in ((1, 50) if quick else (1, 10, 100, 1000))]


def photos(site: Site, plan: Plan, *, quick: bool) -> list[Row]:
    """Megapixels of the photo, one request in flight."""
    rows = []
    for number in (1, 4) if quick else (1, 6, 12, 24, 48, 60):
        side = round((number * 1e6 / 12) ** 0.5 / 4) * 4  # cameras' sizes are even
        picture = site.folder / f"photo-{number}.jpg"
        picture.write_bytes(photo(SAMPLES / "field.jpg", 4 * side, 3 * side))
        with gateways.running(site.path, site.models, site.new_folder(), site.cores) as gateway:
            rows.append({"x": number, **_figures(gateway, picture, plan, 1)})
    return rows


STEPS: Mapping[str, tuple[Callable[..., list[Row]], Mapping[str, str]]] = {
    "workers": (workers, {"pss_mb": "linear", "cpu_ms": "flat"}),
    "models": (models, {"pss_mb": "linear", "cpu_ms": "flat"}),
    "stored": (stored, {"pss_mb": "flat", "cpu_ms": "flat", "listing_ms": "flat"}),
    "connections": (connections, {"pss_mb": "linear", "cpu_ms": "flat"}),
    "photos": (photos, {"pss_mb": "linear", "cpu_ms": "linear"}),
}
"""Each with what is judged, and how it may grow."""


def worse(name: str, rows: Sequence[Row], rules: Mapping[str, str]) -> list[str]:
    """What grows faster than it may, in words."""
    found = []
    for key, rule in rules.items():
        steepest = _least(rows, key)
        for row, after in pairwise(rows):
            slope = _slope(row, after, key)
            if rule == "flat" and after[key] > rows[0][key] * FLAT:
                found.append(f"{name}: {key} is {after[key]:.4g} at {after['x']}, {rows[0][key]:.4g} at {rows[0]['x']}")
            elif rule == "linear" and row is not rows[0] and slope > STEEP * steepest:
                found.append(f"{name}: {key} rises faster from {row['x']} to {after['x']} than anywhere before")
            steepest = max(steepest, slope)
    return found


def table(report: Mapping[str, Any]) -> str:
    """As Markdown."""
    lines = []
    for name, rows in report["steps"].items():
        keys = [key for key in rows[0] if key not in {"x", "errors"}]
        lines += ["", f"| {name} | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
        lines += [f"| {row['x']} | {' | '.join(f'{row[key]:.4g}' for key in keys)} |" for row in rows]
    said = report["worse"] or ["Nothing grows faster than it may."]
    return "\n".join([*lines, "", *said]).strip()


def main() -> None:
    """Runs the steps, and names what is worse than it may be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(STEPS))
    parser.add_argument("--quick", action="store_true", help="short steps: only to see that it works")
    wanted = parser.parse_args()
    cores, load_cores = cores_for(2)
    plan = Plan(1.0 if wanted.quick else 15.0, 0.5 if wanted.quick else 2.0, (), load_cores)
    report: dict[str, Any] = {"machine": machine(cores, plan), "quick": wanted.quick, "steps": {}, "worse": []}
    for name in wanted.only:
        step, rules = STEPS[name]
        with tempfile.TemporaryDirectory(prefix="hedgerow-growth-") as folder:
            picture = Path(folder) / "photo.jpg"
            picture.write_bytes(photo(SAMPLES / "field.jpg", 1280, 720))
            rows = step(Site(Path(folder), wanted.data / TFLITE, picture, b"", cores), plan, quick=wanted.quick)
        print(name, rows, file=sys.stderr)
        report["steps"][name] = rows
        report["worse"] += worse(name, rows, rules)
    (ROOT / "var").mkdir(exist_ok=True)
    (ROOT / "var" / "growth.json").write_text(json.dumps(report, indent=1))
    print(table(report))
    if not wanted.quick:
        put(PAGE, "growth", table(report))
    sys.exit(bool(report["worse"]) and not wanted.quick)


def _row(site: Site, plan: Plan, x: int, at_once: int, *, models: Path | None = None, **settings: str) -> Row:
    with gateways.running(site.path, models or site.models, site.new_folder(), site.cores, **settings) as gateway:
        return {"x": x, **_figures(gateway, site.photo, plan, at_once)}


def _figures(gateway: GatewayProcess, picture: Path, plan: Plan, at_once: int) -> Row:
    found = loaded(gateway.process.pid, gateways.rest_task(gateway, picture), plan, at_once)
    if found["errors"]:
        raise RuntimeError(f"refused or failed: {found['errors']}")
    return {key: found[key] for key in ("per_s", "p50_ms", "p99_ms", "cpu_ms")} | memory_mb(tree(gateway.process.pid))


def _listing_ms(gateway: GatewayProcess) -> float:
    """The slowest of the listings, each the median of several."""
    with gateway.rest() as client:
        cursor = client.get("/v1/analyses", params={"limit": 200}).raise_for_status().json()["next_cursor"]
        asked = [*LISTINGS, *([{"cursor": cursor}] if cursor else [])]
        slowest = 0.0
        for chosen in asked:
            took = []
            for _ in range(10):
                began = time.perf_counter()
                client.get("/v1/analyses", params={**chosen, "limit": LISTED}).raise_for_status()
                took.append((time.perf_counter() - began) * 1000)
            slowest = max(slowest, statistics.median(took))
    return round(slowest, 2)


def _slope(row: Row, after: Row, key: str) -> float:
    return float(after[key] - row[key]) / float(after["x"] - row["x"])


def _least(rows: Sequence[Row], key: str) -> float:
    """A slope too small to matter: a twentieth of the first cost over the whole range."""
    return 0.05 * float(rows[0][key]) / float(rows[-1]["x"] - rows[0]["x"])


if __name__ == "__main__":
    main()
