"""Trains an exam's network several times, each time with another part of all its cases held back, and judges every case by the network
that never saw it: a figure over all the data, where the held-out split of the card has few cases.

`PYTHONPATH=. .venv-train/bin/python benchmarks/cross_validate.py --data DIR [--exam breast_ultrasound] [--folds 5] [--runs N]`

Cases of a group stay together; which fold a group is in is a hash of its name. The calibration part is 15 % of what is left, as in
training. Each fold is a training of its own with the recipe's seed, epochs and, unless given, runs; `--work` keeps the weights, so that
a stopped run goes on. float32; a clip's probability is the mean over its frames.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leave_source_out import shares
from domains.core.training import part_of
from domains.pathology.training.data import Sample
from domains.pathology.training.recipes import RECIPES, ScanRecipe
from domains.pathology.training.scoring import auc, pairs
from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.fit import fit


def main() -> None:
    """Measures, and prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--exam", default="breast_ultrasound")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--runs", type=int, help="trainings of which each fold's weights are the mean; the recipe's, unless given")
    parser.add_argument("--work", type=Path, default=Path("var/cross_validate"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    recipe = next(one for one in RECIPES if one.identity.name == given.exam)
    recipe = replace(recipe, runs=given.runs or recipe.runs)
    rows = [row for fold in range(given.folds) for row in _judged(recipe, fold, given.folds, given.data, given.work)]
    labels = recipe.identity.labels
    found = with_intervals(rows, [group for *_, group in rows], lambda some: _figures(some, labels))
    for name, figure in found.items():
        print(f"{name}: {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}), {len(rows)} cases")
    if given.json:
        given.json.write_text(json.dumps({"cases": len(rows), "folds": given.folds, "figures": found}, indent=2), encoding="utf-8")


def fold_of(group: str, folds: int) -> int:
    """From 0; other bits of the hash than `part_of` goes by."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[4:8], "big") % folds


def _judged(recipe: ScanRecipe, fold: int, folds: int, data: Path, work: Path) -> list[Any]:
    held_back = replace(recipe, identity=replace(recipe.identity, name=f"{recipe.identity.name}-fold-{fold}-of-{folds}"),
                        read=_parted(recipe.read, fold, folds))
    model = fit(held_back, data, work, seed=7, epochs=recipe.epochs, say=lambda text: print(text, flush=True))
    return [(shares(model, sample, recipe), sample.label, sample.group) for sample in held_back.read(data) if sample.part == "val"]


def _parted(read: Callable[[Path], list[Sample]], fold: int, folds: int) -> Callable[[Path], list[Sample]]:
    return lambda data: [
        replace(sample, part="val" if fold_of(sample.group, folds) == fold else part_of("train", sample.group)) for sample in read(data)
    ]


def _figures(rows: Sequence[Any], labels: Sequence[str]) -> dict[str, float]:
    found, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    recalls = {f"recall_{label}": _mean(found.argmax(axis=1)[truth == number] == number) for number, label in enumerate(labels)}
    between = pairs(found, truth, labels) or {"auc": auc(found[:, 1], truth == 1)}
    return {"balanced_accuracy": float(np.mean([*recalls.values()])), "accuracy": _mean(found.argmax(axis=1) == truth), **recalls, **between}


def _mean(right: Any) -> float:
    return float(right.mean()) if len(right) else float("nan")


if __name__ == "__main__":
    main()
