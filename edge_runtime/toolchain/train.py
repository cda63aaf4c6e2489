"""Makes a domain's model packages from its data: the driver of `hedgerow train`. Imports TensorFlow only when it runs."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from domains.core.training import Recipe
from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain import card
from edge_runtime.toolchain.evaluate import evaluate
from edge_runtime.toolchain.manifest import add_statistics, write_package
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.statistics import statistics

WORK = Path("var") / "training"
VARIANTS = ("int8", "float32")


def train(domain: str, data: Path, *, out: Path, seed: int = 7, only: str | None = None, epochs: int | None = None,
          work: Path = WORK, say: Callable[[str], None] = print) -> list[Path]:
    """Trains and packages each recipe of the domain (or `only` one); gives the folders of the packages in `out`.

    `work` holds what a stopped run needs to go on; a second call with the same seed and epochs takes it up. An older
    package in `out` is replaced only once the new one has been written, verified and measured.
    Raises UnknownDomain, ValueError for an unknown recipe, FileNotFoundError where `data` lacks the data set.
    """
    return [_make(recipe, data, out, seed, epochs or recipe.epochs, work, say)
            for recipe in recipes_of(domain, only)]


def _make(recipe: Recipe, data: Path, out: Path, seed: int, epochs: int, work: Path, say: Callable[[str], None]) -> Path:
    from edge_runtime.toolchain.convert import convert
    from edge_runtime.toolchain.fit import FIT_RECORD, fit, run_folder

    identity = recipe.identity
    model = fit(recipe, data, work, seed=seed, epochs=epochs, say=say)
    record = json.loads((run_folder(work, recipe, seed, epochs) / FIT_RECORD).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as staging:
        folder = Path(staging) / identity.name
        folder.mkdir()
        say(f"{identity.name}: converting and quantising")
        variants = convert(model, identity.input, recipe.representative(data), folder)
        known = known_answer.make(folder, identity.input, variants)
        write_package(folder, identity, variants, known, {}, {}, "")
        say(f"{identity.name}: calibrating")
        float_model = LoadedModel(load_package(folder), load_backend("litert"), variant="float32", threads=2)
        options = recipe.calibrate(data, float_model.run)
        write_package(folder, identity, variants, known, options, {}, "")
        measured = {variant: _measured(recipe, data, folder, variant, say) for variant in VARIANTS}
        training = f"{epochs} epochs, seed {seed}, {record['seconds'] / 60:.0f} minutes on {record['cores']} CPU cores."
        text = card.render(identity, recipe.card, variants, options, measured, training)
        metrics = {variant: row["figures"] for variant, row in measured.items()}
        write_package(folder, identity, variants, known, options, metrics, text)
        say(f"{identity.name}: measuring what the training data look like")
        add_statistics(folder, statistics(identity.domain, data, packages=[folder], say=say)[folder])
        load_package(folder)
        placed = out / identity.name
        shutil.rmtree(placed, ignore_errors=True)
        shutil.copytree(folder, placed)
    say(f"{identity.name}: written to {placed}")
    return placed


def _measured(recipe: Recipe, data: Path, folder: Path, variant: str, say: Callable[[str], None]) -> dict[str, object]:
    found = evaluate(recipe.identity.domain, data, packages=[folder], variant=variant, say=say)
    models = found["models"]
    if not isinstance(models, dict):
        raise TypeError(f"evaluate gives a dict of models, got {type(models).__name__}")
    measured: dict[str, object] = models[recipe.identity.name]
    return measured
