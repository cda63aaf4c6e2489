"""Held-out figures of packages, through the same decoding, flow and tensors as the gateway. No TensorFlow here."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from domains import media, registry
from domains.core import Image, MediaHeader, Pixels, Result
from domains.core.documents import from_document, to_document
from domains.core.reliability import Judged, error_by_chance, reliability_bins, risk_coverage
from domains.core.training import Case, Recipe
from domains.foreign import MOST_OF_A_KIND, Foreign, kinds
from domains.media.video import read_clip
from edge_runtime.backends import load_backend
from edge_runtime.models import ModelPackage, load_package, twin_of
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.foreign_figures import Seen, gate_figures, seen
from edge_runtime.toolchain.recipes import recipes_of

CLIPS = frozenset({".mp4", ".mov", ".avi", ".mpeg", ".mpg", ".gif"})
EVERY = 20
INT8 = "int8"
_POINTS = 40
"""Of a curve in the report."""
_OPTIONS = ("temperature", "coverage", "abstain_below")

Say = Callable[[str], None]
Measured = dict[str, Any]


def evaluate(domain: str, data: Path, *, packages: Sequence[Path], variants: Sequence[str] = (INT8,),
             most_of_a_kind: int = MOST_OF_A_KIND, say: Say = print) -> dict[str, Any]:
    """Figures with 95 % bootstrap intervals for every package that the domain has a recipe of, as JSON values:
    `{"domain", "models": {name: {"version", "variants": {variant: {"sha256", "cases", "groups", "seconds", "figures": {figure:
    {"value", "low", "high"}}, ...}}}}}`.

    Where an answer is one label there is also `calibration`: reliability `bins`, `ece_by_chance`, the curve of `answered` share
    and `accuracy` among the answered, and what the package's options promise. Where the model has a gate, `gate`: see
    `gate_figures`. Figures are taken from results as the gateway's documents tell them.

    `packages`: package folders; those of other domains are passed over. `variants`: those to measure; all that run on a CPU
    where empty. `most_of_a_kind`: foreign pictures of each kind; kinds whose data set isn't there are
    left out. Raises PackageError for a package or variant that can't be
    used, FileNotFoundError where `data` doesn't hold the recipe's data set.
    """
    loaded = [package for package in map(load_package, packages) if package.spec.domain == domain]
    found: dict[str, Any] = {}
    for variant in variants or _variants_of(loaded):
        models = {package.spec.name: LoadedModel(package, load_backend("litert"), variant=variant, threads=2)
                  for package in loaded if variants or variant in package.manifest.variants}
        for recipe in (recipe for recipe in recipes_of(domain) if recipe.identity.name in models):
            described = models[recipe.identity.name].describe()
            model = found.setdefault(recipe.identity.name, {"version": described["version"], "variants": {}})
            measured = _measure(recipe, data, models, most_of_a_kind, say)
            model["variants"][variant] = {"sha256": described["sha256"], **measured}
    return {"domain": domain, "models": found}


def _variants_of(packages: Sequence[ModelPackage]) -> list[str]:
    """Every variant that some package has and a CPU runs, int8 first."""
    names = {name for package in packages for name in package.manifest.variants if twin_of(name) == name}
    return sorted(names, key=lambda name: (name != INT8, name))


def _measure(recipe: Recipe, data: Path, models: Mapping[str, LoadedModel], most_of_a_kind: int, say: Say) -> Measured:
    model = models[recipe.identity.name]
    name = f"{recipe.identity.name}: {model.variant}"
    own_cases = recipe.cases(data)
    cases = [*own_cases, *recipe.cases(data, "elsewhere")]
    started = time.monotonic()
    scores, own = [], []
    for number, case in enumerate(cases, 1):
        results = [answer(recipe, picture, case, models) for picture in pictures_of(case)]
        scores.append(recipe.score(case, results))
        if number <= len(own_cases):
            own += seen(case.group, results)
        if number % EVERY == 0 or number == len(cases):
            say(f"{name}: {number} of {len(cases)} cases")
    groups = [case.group for case in cases]
    measured: Measured = {"cases": len(own_cases), "groups": len({case.group for case in own_cases}),
                          "figures": with_intervals(scores, groups, recipe.figures)}
    if judged := [score for score in scores if isinstance(score, Judged) and score.said]:
        measured["calibration"] = calibration_of(judged, model.spec.options)
    if own:
        others = kinds(data, "val", most=most_of_a_kind, without=recipe.own_kinds,
                       lacking=lambda kind: say(f"{name}: no pictures of the kind {kind}: its data set isn't there"))
        measured["gate"] = gate = gate_figures(own, {kind: _foreign(recipe, pictures, models) for kind, pictures in others.items()})
        measured["figures"] |= {"own_refused": gate["own"]["refused"], "foreign_refused": gate["foreign"]["refused"],
                                "foreign_auroc": gate["foreign"]["auroc"]}
        say(f"{name}: {len(others)} kinds of foreign pictures")
    return {**measured, "seconds": round(time.monotonic() - started, 1)}


def calibration_of(judged: Sequence[Judged], options: Mapping[str, object]) -> Measured:
    """Reliability, what is gained by leaving cases open, and what the options promise; rounded to 4 digits."""
    probabilities = np.array([row.probability for row in judged])
    right = np.array([row.is_right for row in judged])
    coverage, risk = risk_coverage(probabilities, right)
    points = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).round().astype(int))
    return {
        **{name: options[name] for name in _OPTIONS if name in options},
        "ece_by_chance": round(error_by_chance(probabilities), 4),
        "bins": [{name: round(value, 4) for name, value in asdict(row).items()} for row in reliability_bins(probabilities, right)],
        "curve": [{"answered": round(float(coverage[at]), 4), "accuracy": round(1 - float(risk[at]), 4)} for at in points],
    }


def _foreign(recipe: Recipe, pictures: Sequence[Foreign], models: Mapping[str, LoadedModel]) -> list[Seen]:
    found = []
    for picture in pictures:
        case = Case(Path(picture.kind), picture.group, None, recipe.foreign_parameters)
        found += seen(picture.group, [answer(recipe, picture_of(picture.pixels), case, models)])
    return found


def pictures_of(case: Case) -> list[tuple[MediaHeader, Image]]:
    """The case's picture, or the frames of its clip, decoded as the gateway does."""
    if case.file.suffix.lower() in CLIPS:
        return [picture_of(frame) for frame in read_clip(case.file.read_bytes(), case.frame_limit)]
    limits = media.Limits()
    payload = case.file.read_bytes()
    header = media.read_header(payload, limits)
    return [(header, media.decode(payload, header, limits))]


def picture_of(pixels: Pixels) -> tuple[MediaHeader, Image]:
    """Pixels without a file of their own: a frame, or a foreign picture. uint8 RGB (height, width, 3)."""
    height, width = pixels.shape[:2]
    return MediaHeader("clip", width, height), Image(pixels, width, height)


def answer(
    recipe: Recipe, picture: tuple[MediaHeader, Image], case: Case, models: Mapping[str, LoadedModel]
) -> Result:
    """What the recipe's model says of one of the case's pictures, as the gateway's document tells it, with its signals."""
    header, image = picture
    domain = registry.load(recipe.identity.domain)
    plan = domain.plan(header, case.parameters, [model.spec for model in models.values()]).settled(image)
    result, _ = run_flow(domain.flow(image, plan), models)
    return replace(from_document(*to_document(result)), signals=result.signals)
