"""Writes a package's MODEL_CARD.md from what was measured and what the domain says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domains.core.training import Card, Identity
from edge_runtime.models import VariantInfo
from edge_runtime.toolchain import card_sections as sections
from edge_runtime.toolchain.card_sections import Measured

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


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures lie beside the card. `failures`: the credits of those on the sheet of failures; None where there is none."""

    plot: bool = False
    failures: Sequence[str] | None = None


def render(identity: Identity, card: Card, variants: Mapping[str, VariantInfo], options: Mapping[str, object],
           measured: Measured, training: str, costs: str, pictures: Pictures) -> str:
    """The card as Markdown. `measured`: variant to what `evaluate` says of the model, at least one. `costs`: the section on
    what int8 costs, as the release gate states it.
    """
    first = next(iter(measured.values()))
    files = [f"| {info.file} | {info.size_bytes / 1e6:.2f} MB | {info.input.dtype} {_shape(info.input.shape)} |"
             for info in variants.values()]
    sources = ("## Across sources", "", card.across_sources, "") if card.across_sources else ()
    return "\n".join([
        f"# {identity.title}", "",
        f"`{identity.name}` {identity.version}, domain `{identity.domain}`, labels: {', '.join(identity.labels)}.", "",
        f"**{identity.intended_use}**", "",
        "## Data", "", card.data, "",
        SPLIT, "",
        "## Held-out figures", "",
        f"{first['cases']} cases in {first['groups']} groups. {HOW_MEASURED}", "",
        *sections.figures_table(measured), "",
        *sources,
        *sections.calibration(measured, card.abstention, plot=pictures.plot),
        *sections.gate(measured),
        *sections.evidence(measured),
        *sections.failures(pictures.failures, labels="calibration" in first),
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


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
