"""Held-out figures of packages, through the same decoding, flow and tensors as the gateway. No TensorFlow here."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from domains import media, registry
from domains.core import Image, MediaHeader, Result
from domains.core.training import Case, Recipe
from domains.media.video import read_clip
from edge_runtime.backends import load_backend
from edge_runtime.models import load_package
from edge_runtime.runner import LoadedModel, run_flow
from edge_runtime.toolchain.bootstrap import with_intervals
from edge_runtime.toolchain.recipes import recipes_of

CLIPS = frozenset({".mp4", ".mov", ".avi", ".mpeg", ".mpg", ".gif"})
EVERY = 20


def evaluate(domain: str, data: Path, *, packages: Sequence[Path], variant: str = "int8",
             say: Callable[[str], None] = print) -> dict[str, object]:
    """Figures with 95 % bootstrap intervals for every package that the domain has a recipe of, as JSON values:
    `{"domain", "variant", "models": {name: {"version", "sha256", "cases", "groups", "seconds", "figures": {figure:
    {"value", "low", "high"}}}}}`.

    `packages`: package folders; those of other domains are passed over. Raises PackageError for a package or variant
    that can't be used, FileNotFoundError where `data` doesn't hold the recipe's data set.
    """
    loaded = [package for package in map(load_package, packages) if package.spec.domain == domain]
    models = {package.spec.name: LoadedModel(package, load_backend("litert"), variant=variant, threads=2)
              for package in loaded}
    recipes = [recipe for recipe in recipes_of(domain) if recipe.identity.name in models]
    return {
        "domain": domain,
        "variant": variant,
        "models": {recipe.identity.name: _measure(recipe, data, models, say) for recipe in recipes},
    }


def _measure(recipe: Recipe, data: Path, models: dict[str, LoadedModel], say: Callable[[str], None]) -> dict[str, object]:
    name = recipe.identity.name
    cases = recipe.cases(data)
    started = time.monotonic()
    scores = []
    for number, case in enumerate(cases, 1):
        scores.append(recipe.score(case, [answer(recipe, picture, case, models) for picture in pictures_of(case)]))
        if number % EVERY == 0 or number == len(cases):
            say(f"{name}: {number} of {len(cases)} cases")
    seconds = time.monotonic() - started
    groups = [case.group for case in cases]
    described = models[name].describe()
    return {
        "version": described["version"],
        "sha256": described["sha256"],
        "cases": len(cases),
        "groups": len(set(groups)),
        "seconds": round(seconds, 1),
        "figures": with_intervals(scores, groups, recipe.figures),
    }


def pictures_of(case: Case) -> list[tuple[MediaHeader, Image]]:
    """The case's picture, or the frames of its clip, decoded as the gateway does."""
    if case.file.suffix.lower() in CLIPS:
        frames = read_clip(case.file.read_bytes(), case.frame_limit)
        return [(MediaHeader("clip", frame.shape[1], frame.shape[0]), Image(frame, frame.shape[1], frame.shape[0]))
                for frame in frames]
    limits = media.Limits()
    payload = case.file.read_bytes()
    header = media.read_header(payload, limits)
    return [(header, media.decode(payload, header, limits))]


def answer(
    recipe: Recipe, picture: tuple[MediaHeader, Image], case: Case, models: Mapping[str, LoadedModel]
) -> Result:
    """What the recipe's model says of one of the case's pictures."""
    header, image = picture
    domain = registry.load(recipe.identity.domain)
    plan = domain.plan(header, case.parameters, [model.spec for model in models.values()])
    result, _ = run_flow(domain.flow(image, plan), models)
    return result
