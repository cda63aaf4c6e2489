"""Trains an exam's network with a whole source left out and judges it on that source: what it is worth elsewhere.

`PYTHONPATH=. .venv-train/bin/python benchmarks/leave_source_out.py --data DIR [--exam lung_ultrasound] [--sources 18 14 ...]`

Each run is a training of its own with the recipe's seed and epochs; `--work` keeps the weights, so that a stopped one goes on. A
clip's probability is the mean over its frames, float32, every clip of the source whatever its part. Writes JSON.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from domains.core.calibration import softmax
from domains.pathology.preprocess import fit_to_input
from domains.pathology.training.data import Sample, frames_of
from domains.pathology.training.network import logits_of
from domains.pathology.training.recipes import RECIPES, ScanRecipe
from domains.pathology.training.scoring import auc
from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.fit import fit

FEWEST = 3
"""Clips of each label that a source must have for an AUC."""


def main() -> None:
    """Measures, and prints one line a source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--exam", default="lung_ultrasound")
    parser.add_argument("--sources", nargs="*", default=[], help="all that have enough clips of both labels, unless named")
    parser.add_argument("--work", type=Path, default=Path("var/leave_source_out"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    recipe = next(one for one in RECIPES if one.identity.name == given.exam)
    found = {source: _measure(recipe, source, given.data, given.work)
             for source in given.sources or _with_both_labels(recipe.read(given.data))}
    for source, row in found.items():
        figure = row["figures"]["auc"]
        print(f"source {source} left out: AUC {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}), {row['clips']} clips")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _with_both_labels(samples: Sequence[Sample]) -> list[str]:
    counts = Counter((sample.source, sample.label) for sample in samples)
    return sorted({source for source, _ in counts if all(counts[source, label] >= FEWEST for label in (0, 1))})


def _measure(recipe: ScanRecipe, source: str, data: Path, work: Path) -> dict[str, Any]:
    without = replace(recipe, identity=replace(recipe.identity, name=f"{recipe.identity.name}-without-{source}"),
                      read=_other_than(recipe.read, source))
    model = fit(without, data, work, seed=7, epochs=recipe.epochs, say=lambda text: print(text, flush=True))
    rows = [(float(shares(model, sample, recipe)[1]), sample.label, sample.group)
            for sample in recipe.read(data) if sample.source == source]
    return {"clips": len(rows), "figures": with_intervals(rows, [group for *_, group in rows], _figures)}


def _other_than(read: Callable[[Path], list[Sample]], source: str) -> Callable[[Path], list[Sample]]:
    return lambda data: [sample for sample in read(data) if sample.source != source]


def shares(model: Any, sample: Sample, recipe: ScanRecipe) -> Any:
    """The probability of each label of the recipe, float64 (labels,), by its trained Keras model: the mean over the frames."""
    spec = recipe.identity.input
    return softmax(logits_of(model, [fit_to_input(frame, spec) for frame in frames_of(sample.file, recipe.frames)], spec)).mean(axis=0)


def _figures(rows: Sequence[Any]) -> dict[str, float]:
    return {"auc": auc(np.array([row[0] for row in rows]), np.array([row[1] == 1 for row in rows]))}


if __name__ == "__main__":
    main()
