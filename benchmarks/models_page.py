"""Writes what the shipped packages' manifests say into docs/models.md and README.md, between their marks.

    .venv/bin/python benchmarks/models_page.py [--check]

`--check` writes nothing and ends with 1 where a page says something else. The pages show the sheets of docs/images/models, which
`benchmarks/contact_sheets.py --data DIR --out docs/images/models --shareable --jpeg` draws.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from edge_runtime.embedded import package_folders
from edge_runtime.models import Manifest, read_manifest
from edge_runtime.toolchain.manifest import CARD
from edge_runtime.toolchain.recipes import recipes_of

ROOT = Path(__file__).parents[1]
DOCS, README = ROOT / "docs" / "models.md", ROOT / "README.md"
SHEETS = DOCS.parent / "images" / "models"
BEGIN, END = "<!-- written by benchmarks/models_page.py -->", "<!-- end of what it wrote -->"
ORDER = ("pathology", "crop_weed", "house_numbers")
MORE = ("auc", "iou_weed")
"""Figures that stand beside the main one in the README, where a model has them."""
NAMES = {"miou": "mIoU", "auc": "AUC", "iou_weed": "weed IoU", "ece": "ECE"}
ROWS = {
    "auc_benign_malignant": "AUC, benign against malignant",
    "auc": "AUC",
    "iou_crop": "IoU of the crop",
    "iou_weed": "IoU of weeds",
    "vegetation_iou_elsewhere": "IoU of vegetation on another crop and camera",
    "plant_f1_crop": "F1 of crop plants",
    "plant_f1_weed": "F1 of weed plants",
    "answered_share": "share answered",
    "answered_accuracy": "accuracy among the answered",
    "ece": "expected calibration error",
    "prediction_set_coverage": "prediction sets that hold the truth",
    "own_refused": "own pictures refused as foreign",
    "foreign_refused": "foreign pictures refused, mean of the kinds",
    "foreign_auroc": "AUROC of foreign pictures, mean of the kinds",
    "evidence_in_lesion": "evidence inside the lesion",
    "centre_in_lesion": "the same of a blob at the centre",
    "evidence_hits_lesion": "strongest evidence hits the lesion",
    "centre_hits_lesion": "the same of the centre",
}
"""Figures of the page, in its order, after the main one; those that a model hasn't are left out."""
SHEET_NAMES = {"wrong": "What it is wrong about", "right": "What it is right about", "foreign": "Pictures that it was not made for",
               "plants": "Plants told apart"}

AIMS = (
    ("breast_ultrasound", "balanced_accuracy", 0.82), ("breast_ultrasound", "auc_benign_malignant", 0.93), ("lung_ultrasound", "auc", 0.93),
    ("chest_xray", "auc", 0.99), ("skin_lesion", "auc", 0.90), ("crop_peanut", "miou", 0.80), ("crop_peanut", "iou_weed", 0.60),
    ("crop_peanut", "vegetation_iou_elsewhere", 0.80), ("crop_cwfid", "miou", 0.80),
)
"""What the figures of the int8 variants were to be at least."""

Figure = Mapping[str, float]


def main() -> None:
    """Writes both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, end with 1 where a page is out of date")
    asked = parser.parse_args()
    stale = []
    for page, text in written().items():
        if page.read_text(encoding="utf-8") != text:
            stale.append(page.name)
            if not asked.check:
                page.write_text(text, encoding="utf-8")
    if asked.check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run benchmarks/models_page.py")


def written() -> dict[Path, str]:
    """Each page with its part anew. Raises ValueError for a page without the marks."""
    folders = sorted(package_folders(()), key=lambda folder: ORDER.index(read_manifest(folder).domain))
    parts = {DOCS: "\n".join([*_aims(folders), *(section for folder in folders for section in _section(folder))]), README: "\n".join(_table(folders))}
    return {page: between_marks(page.read_text(encoding="utf-8"), part) for page, part in parts.items()}


def between_marks(page: str, part: str) -> str:
    """The page with `part` between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"a page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{part.strip()}\n\n{END}{after}"


def _table(folders: Sequence[Path]) -> Iterator[str]:
    yield "| model | held out | main figures (int8; float32 beside it) | foreign pictures | size int8 / float32 |"
    yield "|---|---|---|---|---|"
    for folder in folders:
        manifest = read_manifest(folder)
        sides = _metrics(manifest)
        names = [recipes_of(manifest.domain, manifest.name)[0].main_figure, *(name for name in MORE if name in sides["int8"])]
        told = "; ".join(f"{_name(name)} {_beside(sides, name)}" for name in names)
        card = folder.relative_to(ROOT) / CARD
        sizes = " / ".join(f"{info.size_bytes / 1e6:.1f}" for info in (manifest.variants[name] for name in ("int8", "float32")
                                                                       if name in manifest.variants))
        yield f"| [`{manifest.name}`]({card}) | {_held_out(folder)} | {told} | {_gate(sides['int8'])} | {sizes} MB |"
    total = sum(path.stat().st_size for folder in folders for path in folder.iterdir()) / 1e6
    yield f"\nAll packages together: {total:.1f} MB."


def _aims(folders: Sequence[Path]) -> Iterator[str]:
    found = {manifest.name: _metrics(manifest)["int8"] for manifest in map(read_manifest, folders)}
    yield "| model | figure | aim | held out, int8 | |"
    yield "|---|---|---|---|---|"
    for model, name, wanted in AIMS:
        figure = found[model][name]
        missed = wanted - figure["value"]
        verdict = "reached" if missed <= 0 else f"{missed:.2g} short; the interval {'holds' if figure['high'] >= wanted else 'is below'} it"
        yield f"| `{model}` | {ROWS.get(name, _name(name))} | {wanted:.2f} | {_words(figure)} | {verdict} |"
    yield ""


def _section(folder: Path) -> Iterator[str]:
    manifest = read_manifest(folder)
    sides = _metrics(manifest)
    main = recipes_of(manifest.domain, manifest.name)[0].main_figure
    card = Path("..") / folder.relative_to(ROOT) / CARD
    yield f"## {manifest.title}\n\n`{manifest.name}` {manifest.version}: {', '.join(manifest.labels)}. {manifest.intended_use}"
    yield f"Held out: {_held_out(folder)}. Data, method and limits: [model card]({card}).\n"
    yield f"| figure (95 % interval) | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}"
    for name, told in {main: f"**{_name(main)}**", **ROWS}.items():
        if name in sides["int8"]:
            yield f"| {told} | {' | '.join(_words(side[name]) if name in side else '-' for side in sides.values())} |"
    yield ""
    for name, told in SHEET_NAMES.items():
        if (SHEETS / f"{manifest.name}-{name}.jpg").is_file():
            yield f"{told}:\n\n![{told}, {manifest.name}](images/models/{manifest.name}-{name}.jpg)\n"


def _metrics(manifest: Manifest) -> dict[str, dict[str, Figure]]:
    """By variant, int8 first."""
    found: dict[str, Any] = manifest.metrics
    return {name: found[name] for name in ("int8", "float32") if name in found}


def _held_out(folder: Path) -> str:
    told = re.search(r"^(\d+) cases in (\d+) groups", (folder / CARD).read_text(encoding="utf-8"), re.MULTILINE)
    if told is None:
        raise ValueError(f"{folder.name}: the card doesn't say how many cases were held out")
    return f"{told[1]} cases in {told[2]} groups"


def _gate(side: Mapping[str, Figure]) -> str:
    if "foreign_refused" not in side:
        return "not noticed"
    return f"{100 * side['foreign_refused']['value']:.0f} % refused, and {100 * side['own_refused']['value']:.0f} % of its own"


def _beside(sides: Mapping[str, Mapping[str, Figure]], name: str) -> str:
    others = [f", float32 {sides['float32'][name]['value']:.2f}"] if name in sides.get("float32", {}) else []
    return "".join([_short(sides["int8"][name]), *others])


def _name(figure: str) -> str:
    return NAMES.get(figure, figure.replace("_", " "))


def _words(figure: Figure) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _short(figure: Figure) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


if __name__ == "__main__":
    main()
