"""Writes a package's MODEL_CARD.md from what was measured and what the domain says."""

from collections.abc import Mapping
from typing import Any

from domains.core.training import Card, Identity
from edge_runtime.models import VariantInfo

Measured = Mapping[str, Any]
SPLIT = (
    "Of the manifest's training split a fixed 15 % of the groups (by a hash of the group's name) are set aside to "
    "calibrate; the rest trains. The held-out split (`val`) gives the figures below; nothing was trained, calibrated or thresholded on it."
)
METHOD = "## Method"
COSTS = "## What int8 costs"
HOW_MEASURED = (
    "Intervals are of 1,000 bootstrap resamples of whole groups. Measured by `hedgerow evaluate`, through the gateway's "
    "own decoding and flow."
)


def render(identity: Identity, card: Card, variants: Mapping[str, VariantInfo], options: Mapping[str, object],
           measured: Mapping[str, Measured], training: str, costs: str) -> str:
    """The card as Markdown. `measured`: variant to what `evaluate` says of the model, at least one. `costs`: the section on
    what int8 costs, as the release gate states it.
    """
    first = next(iter(measured.values()))
    names = list(measured)
    heads = " | ".join(f"{name} (95 % interval)" for name in names)
    rows = [f"| {figure} | {' | '.join(_cell(measured[name]['figures'].get(figure)) for name in names)} |"
            for figure in first["figures"]]
    files = [f"| {info.file} | {info.size_bytes / 1e6:.2f} MB | {info.input.dtype} {_shape(info.input.shape)} |"
             for info in variants.values()]
    return "\n".join([
        f"# {identity.title}", "",
        f"`{identity.name}` {identity.version}, domain `{identity.domain}`, labels: {', '.join(identity.labels)}.", "",
        f"**{identity.intended_use}**", "",
        "## Data", "", card.data, "",
        SPLIT, "",
        "## Held-out figures", "",
        f"{first['cases']} cases in {first['groups']} groups. {HOW_MEASURED}", "",
        f"| figure | {heads} |", f"|---|{'---|' * len(names)}", *rows, "",
        costs, "",
        METHOD, "", card.method, "", training, "",
        "Thresholds and temperature, from the calibration part: "
        + ", ".join(f"{key} {value}" for key, value in options.items() if isinstance(value, int | float)) + ".", "",
        "| file | size | input |", "|---|---|---|", *files, "",
        "## Known limits", "", card.limits, "",
        "## Licence and attribution", "",
        f"Weights: {identity.weights_licence}.", "", f"Data: {identity.data_licence}.", "", card.attribution, "",
    ])


def with_costs(text: str, costs: str) -> str:
    """A card with this section on what int8 costs, in the place of an older one."""
    before, heading, after = text.partition(f"{METHOD}\n")
    return before.partition(f"{COSTS}\n")[0] + costs + "\n\n" + heading + after if heading else text


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return "-"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
