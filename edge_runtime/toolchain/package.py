"""Variants of a model to a package: embedded metadata, known answer, calibration, held-out figures, release gate, statistics,
card and manifest. The one way to a package, for `hedgerow train` and `hedgerow model package`. No TensorFlow here.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from domains.core.spec import InputSpec
from domains.core.training import Recipe
from domains.foreign import MOST_OF_A_KIND
from edge_runtime import known_answer
from edge_runtime.backends import load_backend
from edge_runtime.models import VariantInfo, load_package, sha256_of
from edge_runtime.runner import LoadedModel
from edge_runtime.toolchain import calibration_plot, card
from edge_runtime.toolchain.card_sections import FAILURES, PLOT, Measured
from edge_runtime.toolchain.evaluate import evaluate
from edge_runtime.toolchain.failures import failure_sheet
from edge_runtime.toolchain.manifest import add_statistics, write_package
from edge_runtime.toolchain.metadata_writer import embed
from edge_runtime.toolchain.plotting import PlotsMissing
from edge_runtime.toolchain.recipes import recipes_of
from edge_runtime.toolchain.release_gate import FLOAT, INT8, losses_of, refuse_unless_explained, stated
from edge_runtime.toolchain.statistics import statistics
from edge_runtime.toolchain.steps import Steps, key_of
from edge_runtime.toolchain.variants import VariantSet, read_variants
from edge_runtime.training_statistics import Statistics

WORK = Path("var") / "training"
_DTYPES = {FLOAT: ("float32",), INT8: ("int8", "uint8")}

Say = Callable[[str], None]


def package_variants(folder: Path, domain: str, model: str, data: Path, *, out: Path, float_variant: str = FLOAT,
                     int8_variant: str = INT8, most_of_a_kind: int = MOST_OF_A_KIND, work: Path = WORK, say: Say = print) -> Path:
    """Packages two of the variants that `hedgerow model optimize` wrote into `folder`; gives the package's folder in `out`.

    Raises UnknownDomain, ValueError for variants that can't be used or a recipe that isn't there, GateRefused,
    PackageError, FileNotFoundError where `data` lacks the data set.
    """
    (recipe,) = recipes_of(domain, model)
    found = read_variants(folder)
    chosen = {FLOAT: float_variant, INT8: int8_variant}
    for name in chosen.values():
        if name not in found.variants:
            why = f": {found.skipped[name]}" if name in found.skipped else ""
            raise ValueError(f"{folder} has no variant {name!r}{why}; there are {', '.join(found.variants)}")
    _check_fit(recipe, found)
    made = "; ".join(f"{variant}: {found.variants[name].how.rstrip('.')}" for variant, name in chosen.items())
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    return make_package(
        recipe, data, {variant: folder / found.variants[name].file for variant, name in chosen.items()},
        out=out, training=f"{made}. Seed {found.seed}{f'; {versions}' if versions else ''}.", most_of_a_kind=most_of_a_kind,
        work=work, say=say,
    )


def make_package(recipe: Recipe, data: Path, files: Mapping[str, Path], *, out: Path, training: str,
                 most_of_a_kind: int = MOST_OF_A_KIND, work: Path = WORK, say: Say = print) -> Path:
    """Makes the package of `files`, float32 and int8 to their TFLite files; `training` says how they were made, Markdown.
    `most_of_a_kind`: foreign pictures of each kind that the gate is measured on.

    Finished steps are kept in `work` and taken from there by the next call with the same files, data and code. An older
    package in `out` is replaced only once the new one has been measured, let through and verified. Raises GateRefused where
    int8 loses too much, ValueError for a file that doesn't fit, FileNotFoundError where `data` lacks the data set.
    """
    identity = recipe.identity
    steps = Steps(work, identity.name, key_of(recipe, data, {
        **{name: sha256_of(path) for name, path in files.items()}, "most_of_a_kind": str(most_of_a_kind)}), say)
    with tempfile.TemporaryDirectory(dir=steps.folder) as staging:
        folder = Path(staging) / identity.name
        folder.mkdir()
        variants = _stage(recipe, files, folder)
        try:
            known = known_answer.make(folder, identity.input, variants)
        except RuntimeError as error:
            raise ValueError(f"{identity.name}: one of its files can't be run: {error}") from error
        write_package(folder, identity, variants, known, {}, {}, "")
        options = steps.take("calibration", partial(_calibrated, recipe, data, folder))
        write_package(folder, identity, variants, known, options, {}, "")
        measured = {variant: steps.take(f"figures-{variant}", partial(_measured, recipe, data, folder, variant, most_of_a_kind, say))
                    for variant in (INT8, FLOAT)}
        metrics = {variant: row["figures"] for variant, row in measured.items()}
        losses = losses_of(recipe, metrics)
        refuse_unless_explained(losses, recipe.card.int8_loss)
        costs = stated(losses, recipe.card.int8_loss)
        pictures = _pictures(recipe, data, folder, measured, say)
        text = card.render(identity, recipe.card, variants, options, measured, training, costs, pictures)
        write_package(folder, identity, variants, known, options, metrics, text)
        seen = steps.take("statistics", partial(_statistics, recipe, data, folder, say))
        add_statistics(folder, msgspec.convert(seen, Statistics))
        load_package(folder)
        placed = put_in_place(folder, out)
    say(f"{identity.name}: written to {placed}; finished steps are kept in {steps.folder}")
    return placed


def put_in_place(folder: Path, out: Path) -> Path:
    """Puts a whole package into `out`, where an older one is taken away by a rename, never file by file."""
    out.mkdir(parents=True, exist_ok=True)
    placed = out / folder.name
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{folder.name}-") as aside:
        fresh = shutil.copytree(folder, Path(aside) / "new")
        if placed.exists():
            placed.rename(Path(aside) / "old")
        fresh.rename(placed)
    return placed


def _check_fit(recipe: Recipe, found: VariantSet) -> None:
    identity = recipe.identity
    if tuple(found.labels) != identity.labels:
        raise ValueError(f"the variants' labels are {', '.join(found.labels)}, the recipe's {', '.join(identity.labels)}")
    spec = InputSpec(**msgspec.structs.asdict(found.input))
    if spec != identity.input:
        raise ValueError(f"the variants' input is {spec}, the recipe's {identity.input}")


def _stage(recipe: Recipe, files: Mapping[str, Path], folder: Path) -> dict[str, VariantInfo]:
    """Copies of the files, with their metadata. Raises ValueError for one that can't be the variant that it is to be."""
    variants = {}
    for variant, dtypes in _DTYPES.items():
        path = folder / f"{variant}.tflite"
        shutil.copyfile(files[variant], path)
        info = embed(path, recipe.identity)
        if info.input.dtype not in dtypes:
            raise ValueError(f"{files[variant].name} takes {info.input.dtype}, so it can't be the package's {variant} file")
        variants[variant] = info
    return variants


def _calibrated(recipe: Recipe, data: Path, folder: Path) -> dict[str, object]:
    """On the variant that the edge runs: thresholds that suit float32 alone have int8 refuse pictures of the model's own world."""
    model = LoadedModel(load_package(folder), load_backend("litert"), variant=INT8, threads=2)
    return dict(recipe.calibrate(data, model.run))


def _measured(recipe: Recipe, data: Path, folder: Path, variant: str, most_of_a_kind: int, say: Say) -> Any:
    found: Any = evaluate(recipe.identity.domain, data, packages=[folder], variants=(variant,), most_of_a_kind=most_of_a_kind,
                          say=say)
    return found["models"][recipe.identity.name]["variants"][variant]


def _pictures(recipe: Recipe, data: Path, folder: Path, measured: Measured, say: Say) -> card.Pictures:
    """Draws what lies beside the card: the plot of calibration, and the sheet of failures that may be shown."""
    identity = recipe.identity
    calibrations = {variant: row["calibration"] for variant, row in measured.items() if "calibration" in row}
    answered = {variant: measured[variant]["figures"]["answered_share"]["value"] for variant in calibrations}
    plotted = bool(calibrations)
    try:
        if plotted:
            calibration_plot.draw(f"{identity.name} {identity.version}", calibrations, answered, folder / PLOT)
    except PlotsMissing as error:
        say(f"{identity.name}: {error}")
        plotted = False
    sheet = failure_sheet(recipe, data, LoadedModel(load_package(folder), load_backend("litert"), variant=INT8, threads=2), say)
    if sheet is not None:
        (folder / FAILURES).write_bytes(sheet.jpeg)
    return card.Pictures(plotted, None if sheet is None else sheet.credits)


def _statistics(recipe: Recipe, data: Path, folder: Path, say: Say) -> Any:
    return msgspec.to_builtins(statistics(recipe.identity.domain, data, packages=[folder], say=say)[folder])
