"""How fast the gateway is: against the bare loop, and against other servers, in interleaved rounds.

    .venv/bin/python benchmarks/serving.py --data DIR [--rounds 5] [--seconds 10] [--only REST,FastAPI] [--phone | --echo] [--quick]

DIR holds `edgetpu_pairs/mobilenet_v2_1.0_224_quant.tflite`. The task: one JPEG of 1280x720 in, the five best labels out, on two
cores, with 1, 4 and 16 requests in flight; --phone: of 4000x3000, decoded at reduced scale by us and whole by the others. Writes JSON
to var/, and unless --quick the tables of docs/performance.md. --echo: what the gateway itself costs, stage by stage.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import serving_echo, serving_phone, serving_tables
from benchmarks.serving_photos import photo
from benchmarks.serving_rounds import Plan, cores_for, loops, serve
from benchmarks.serving_servers import Server, Site, everybody
from benchmarks.serving_task import Classifier
from tests.gateway_process import ROOT, SAMPLES

TFLITE = Path("edgetpu_pairs") / "mobilenet_v2_1.0_224_quant.tflite"
PAGE = ROOT / "docs" / "performance.md"
AT_ONCE = (1, 4, 16)


def main() -> None:
    """Runs what is asked for."""
    wanted = _arguments()
    cores, load_cores = cores_for(wanted.cores)
    plan = Plan(min(1.0, wanted.seconds) if wanted.quick else wanted.seconds, 0.5 if wanted.quick else 2.0, AT_ONCE, load_cores)
    with tempfile.TemporaryDirectory(prefix="hedgerow-serving-") as name:
        folder, tflite = Path(name), wanted.data / TFLITE
        if wanted.echo:
            report, text = serving_echo.run(folder, cores, plan, flame_graph=None if wanted.quick else ROOT / "docs" / "images" / "overhead.png")
            kind, tables = "echo", {"echo": text}
        elif wanted.phone:
            report = serving_phone.run(folder, tflite, wanted.data, cores, plan, rounds=wanted.rounds)
            kind, tables = "phone", {"phone": serving_phone.table(report)}
        else:
            report = _compare(folder, tflite, cores, plan, wanted)
            kind, tables = "serving", {"serving": serving_tables.table(report), "goals": serving_tables.goals(report)}
    out = ROOT / "var" / f"{kind}.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"quick": wanted.quick, **report}, indent=1))
    for place, text in tables.items():
        print(text, end="\n\n")
        if not wanted.quick:
            serving_tables.put(PAGE, place, text)


def _compare(folder: Path, tflite: Path, cores: list[int], plan: Plan, wanted: argparse.Namespace) -> dict[str, Any]:
    picture = folder / "photo.jpg"
    picture.write_bytes(photo(SAMPLES / "field.jpg", 1280, 720))
    site = Site(folder, tflite, picture, Classifier(str(tflite)).decoded(picture.read_bytes()).tobytes(), cores)
    chosen: list[Server] = []
    missing: dict[str, str] = {}
    for server in everybody():
        if wanted.only and server.name not in wanted.only:
            continue
        why = server.missing(site)
        if why:
            missing[server.name] = why
        else:
            chosen.append(server)
    rounds = []
    for number in range(wanted.rounds):
        found = loops(site, plan)
        turn = [*chosen[number % max(1, len(chosen)):], *chosen[:number % max(1, len(chosen))]]
        measured = {server.name: _told(server.name, serve(server, site, plan, found[server.loop]["answer"])) for server in turn}
        rounds.append({"loops": found, "servers": {server.name: measured[server.name] for server in chosen}})
    return {
        "machine": machine(cores, plan), "at_once": list(plan.at_once), "seconds": plan.seconds, "missing": missing, "rounds": rounds,
        "pictures": f"a JPEG of 1280x720 with {picture.stat().st_size / 1000:.0f} kB",
    }


def machine(cores: list[int], plan: Plan) -> dict[str, Any]:
    """What it ran on."""
    named = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    shared = sorted(plan.load_cores) == sorted(cores)
    return {"cores": cores, "processor": named[0] if named else "an unknown processor", "callers": "the same cores" if shared else "others"}


def _told(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    rates = ", ".join(f"{found['per_s']:.1f}/s with {at_once} in flight" for at_once, found in figures["at_once"].items())
    print(f"{name}: {rates}", file=sys.stderr)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", type=lambda text: text.split(";"), default=[], help="names as in the table, with ; between them")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works: its figures mean nothing")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--phone", action="store_true")
    kinds.add_argument("--echo", action="store_true")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.rounds = 1
    return wanted


if __name__ == "__main__":
    main()
