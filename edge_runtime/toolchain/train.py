"""Makes a domain's model packages from its data: the driver of `hedgerow train`. Imports TensorFlow only when it runs."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from domains.core.training import Recipe
from edge_runtime.toolchain.package import WORK, make_package
from edge_runtime.toolchain.recipes import recipes_of


def train(domain: str, data: Path, *, out: Path, seed: int = 7, only: str | None = None, epochs: int | None = None,
          work: Path = WORK, say: Callable[[str], None] = print) -> list[Path]:
    """Trains and packages each recipe of the domain (or `only` one); gives the folders of the packages in `out`.

    `work` holds what a stopped run needs to go on; a second call with the same seed and epochs takes it up. An older
    package in `out` is replaced only once the new one has been written, verified and measured.
    Raises UnknownDomain, ValueError for an unknown recipe, GateRefused where int8 loses too much, FileNotFoundError where
    `data` lacks the data set.
    """
    return [_make(recipe, data, out, seed, epochs or recipe.epochs, work, say)
            for recipe in recipes_of(domain, only)]


def _make(recipe: Recipe, data: Path, out: Path, seed: int, epochs: int, work: Path, say: Callable[[str], None]) -> Path:
    from edge_runtime.toolchain.convert import convert
    from edge_runtime.toolchain.fit import FIT_RECORD, fit, run_folder

    identity = recipe.identity
    model = fit(recipe, data, work, seed=seed, epochs=epochs, say=say)
    record = json.loads((run_folder(work, recipe, seed, epochs) / FIT_RECORD).read_text(encoding="utf-8"))
    length = f"{epochs} epochs, seed {seed}" if recipe.runs == 1 else f"{recipe.runs} runs of {epochs} epochs, seeds from {seed} on"
    training = f"{length}, {record['seconds'] / 60:.0f} minutes on {record['cores']} CPU cores."
    with tempfile.TemporaryDirectory() as converted:
        say(f"{identity.name}: converting and quantising")
        variants = convert(model, identity.input, recipe.representative(data), Path(converted))
        files = {variant: Path(converted) / info.file for variant, info in variants.items()}
        return make_package(recipe, data, files, out=out, training=training, work=work, say=say)
