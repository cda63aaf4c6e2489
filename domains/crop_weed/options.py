"""What a crop_weed model's manifest says in `[domain_options]`, and what a caller may say."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from domains.core import InvalidParameter, ModelSpec
from domains.crop_weed.sequence import SequenceOptions

FINEST_MM, COARSEST_MM = 0.01, 100.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options]` of a crop_weed model. Label 0 is soil."""

    crop: str
    """What callers name it by, where several crops are installed."""
    ground_resolution_mm: Annotated[float, Meta(gt=0)]
    """Millimetres of ground a pixel of the photos that it was trained on."""
    long_side_px: Annotated[int, Meta(ge=32)]
    """The long side of those photos."""
    temperature: Annotated[float, Meta(gt=0)]
    abstain_below: Annotated[float, Meta(ge=0, le=1)]
    """Below this mean probability of what it calls plants, the program doesn't stand by the map."""
    speck_px: Annotated[int, Meta(ge=0)]
    """A patch of plant of fewer pixels at the model's ground resolution is taken for soil."""
    dominance: Annotated[float, Meta(ge=0.5, le=1)]
    """From this share of a connected patch's evidence on, the whole patch is of one class."""
    sequence: SequenceOptions = SequenceOptions()


def options_of(model: ModelSpec) -> Options:
    """The model's checked options. Raises ValueError, naming the key, where they are not what this domain needs."""
    return model.options_as(Options)


def choose(named: object, models: Sequence[ModelSpec]) -> ModelSpec:
    """The model of the crop `named`, or the only one. Raises InvalidParameter, listing the choices."""
    offered = {options_of(model).crop: model for model in models}
    if named is None and len(offered) == 1:
        return next(iter(offered.values()))
    if not isinstance(named, str) or named not in offered:
        listed = ", ".join(sorted(offered)) or "none is installed"
        raise InvalidParameter(f"name the crop with the parameter 'crop', one of: {listed}", parameter="crop")
    return offered[named]


def ground_resolution_of(value: object) -> float | None:
    """Millimetres of ground a pixel, or None where the caller didn't say. Raises InvalidParameter."""
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else float("nan")
    except ValueError:
        number = float("nan")
    if not FINEST_MM <= number <= COARSEST_MM:
        raise InvalidParameter(
            f"'ground_resolution_mm' must be a number of millimetres a pixel from {FINEST_MM} to {COARSEST_MM:g}",
            parameter="ground_resolution_mm")
    return number
