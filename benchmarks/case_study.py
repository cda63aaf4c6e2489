"""The textbook case through every step: train, make smaller, measure, predict the Edge TPU, package.

    .venv-train/bin/python benchmarks/case_study.py --data DIR [--out var/case-study]     (or `make case-study DATA=DIR`)

Reads DIR/svhn_subset and writes into the folder `out`: the trained model (.keras and .h5), every variant, the report with its
plots, the op tables, the package, and case-study.md, which tells all of it. The same seed gives the same TFLite files on the
same machine, bit for bit. Finished steps are taken up again. `--docs` brings docs/case-study.md and its pictures up to date; `--ship` makes the
package that ships with the program anew. docs/tutorial.md does the same by hand.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec

from benchmarks.case_study_bugs import costs
from benchmarks.case_study_data import FILE, write_digits
from benchmarks.case_study_page import page
from benchmarks.case_study_ship import without_float
from benchmarks.case_study_tables import op_tables
from benchmarks.case_study_train import MODEL, NAME, train
from domains import registry
from domains.house_numbers.training import RECIPES
from edge_runtime.models import load_package, sha256_of
from edge_runtime.toolchain.optimize.driver import Request, optimize
from edge_runtime.toolchain.package import package_variants
from edge_runtime.toolchain.release_gate import GateRefused
from edge_runtime.toolchain.report.make import Wish, make
from edge_runtime.toolchain.steps import Steps
from edge_runtime.toolchain.variants import VariantSet

ROOT = Path(__file__).parents[1]
DOMAIN = "house_numbers"
DOCS, PICTURES = ROOT / "docs" / "case-study.md", ROOT / "docs" / "images"
BEGIN, END = "<!-- figures: written by benchmarks/case_study.py -->", "<!-- end of the figures -->"
PACKAGED = ("int8", "qat_int8")
"""Which variant becomes the package's int8 file: the first that the release gate lets through."""
SHIPPED_VERSION = "1.0.0"
Say = Callable[[str], None]


def study(data: Path, out: Path, *, seed: int, epochs: int, say: Say) -> dict[str, Any]:
    """Everything but `--docs` and `--ship`; what was found, as JSON values. Raises what its steps raise."""
    started, is_whole = time.monotonic(), not (out / MODEL).exists()
    out.mkdir(parents=True, exist_ok=True)
    digits = out / FILE
    told = write_digits(data, out)
    say(f"data: {digits}, {told['digits']} digits of {told['photos']} photos")
    trained = train(data, digits, out, seed=seed, epochs=epochs, say=say)
    model, spec = out / MODEL, RECIPES[0].identity.input
    variants = optimize(Request(model, digits, out / "variants", seed=seed, mean=spec.mean, std=spec.std, name=NAME), say=say)
    report = make(out / "variants", digits, out / "report", Wish(), say)
    steps = Steps(out / "work", "op-tables", sha256_of(model), say)
    tables = steps.take("op_tables", lambda: op_tables(model, digits))
    packaged, refused = _packaged(data, out, variants, say)
    usage = [resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "data": told, "training": trained, "variants": msgspec.to_builtins(variants), "report": msgspec.to_builtins(report),
        "tables": tables, "bugs": costs(out / "variants" / "int8.tflite", digits),
        "package": {"variant": packaged, "refused": refused, **_described(out)},
        "run": _run(out, is_whole=is_whole, seconds=time.monotonic() - started, peak_bytes=max(usage)),
    }


def _packaged(data: Path, out: Path, variants: VariantSet, say: Say) -> tuple[str, dict[str, str]]:
    """Packages the first variant that may be; gives its name and what the gate said of those before it. Raises GateRefused."""
    refused: dict[str, str] = {}
    for name in PACKAGED:
        if name not in variants.variants:
            continue
        try:
            package_variants(out / "variants", DOMAIN, NAME, data, out=out / "packages", int8_variant=name,
                             work=out / "work", say=say)
        except GateRefused as error:
            say(f"package: {name}: {error}")
            refused[name] = str(error)
        else:
            return name, refused
    raise GateRefused("; ".join(refused.values()) or "there is no int8 variant")


def _described(out: Path) -> dict[str, Any]:
    manifest = load_package(out / "packages" / NAME).manifest
    return {"version": manifest.version, "metrics": manifest.metrics, "options": manifest.domain_options}


def _run(out: Path, *, is_whole: bool, seconds: float, peak_bytes: int) -> dict[str, Any]:
    """Time and memory of the last run that began with nothing: one that took up finished steps says little of either."""
    path = out / "run.json"
    if is_whole:
        path.write_text(json.dumps({"seconds": round(seconds), "peak_bytes": peak_bytes}), encoding="utf-8")
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return kept


def ship(out: Path, folder: Path, say: Say) -> Path:
    """The package that ships with the program, from the finished one in `out`, into `folder`."""
    placed = without_float(out / "packages" / NAME, folder, SHIPPED_VERSION)
    say(f"ship: {placed}")
    return placed


def document(found: dict[str, Any], out: Path) -> None:
    """Brings docs/case-study.md and its pictures up to date."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    for plot in found["report"]["plots"]:
        shutil.copyfile(out / "report" / plot, PICTURES / f"case_study_{plot}")
    text = page(found, "images/case_study_")
    DOCS.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    """Parses the command line and runs the study."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds svhn_subset")
    parser.add_argument("--out", type=Path, default=Path("var/case-study"))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=RECIPES[0].epochs)
    parser.add_argument("--docs", action="store_true", help="bring docs/case-study.md up to date")
    parser.add_argument("--ship", type=Path, nargs="?", const=registry.models_folder(DOMAIN), metavar="FOLDER",
                        help="make the package that ships with the program anew, in its domain's folder or in this one")
    asked = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        found = study(asked.data, asked.out, seed=asked.seed, epochs=asked.epochs, say=say)
        if asked.ship:
            ship(asked.out, asked.ship, say)
    except FileNotFoundError as error:
        sys.exit(f"case study: {error.filename or error} is not there; --data must name the folder that holds svhn_subset")
    except ValueError as error:
        sys.exit(f"case study: {error}")
    (asked.out / "case-study.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    (asked.out / "case-study.md").write_text(page(found, "report/"), encoding="utf-8")
    if asked.docs:
        document(found, asked.out)
    say(f"case study: {asked.out / 'case-study.md'} tells all of it; the package is {asked.out / 'packages' / NAME}")


if __name__ == "__main__":
    main()
