"""What a crop_weed model's manifest says in `[domain_options]`, and what a caller may say."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domains.core import InvalidParameter, ModelSpec
from domains.core.gate import Gate
from domains.crop_weed.cameras import RGB, Camera
from domains.crop_weed.sequence import SequenceOptions

FINEST_MM, COARSEST_MM = 0.01, 100.0
OTHER = "other"
"""The parameter `crop` where something else grows than any model knows."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options]` of a crop_weed model. Label 0 is soil."""

    crop: str
    """What callers name it by."""
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
    """From this share of a connected patch's evidence on, the whole patch is of one class; for `apart = "patches"`."""
    camera: Camera = RGB
    """Which camera took the photos that it was trained on."""
    apart: Literal["centres", "patches"] = "patches"
    """Whether plants are what points at one learned centre, or connected patches."""
    own_crop_below: Annotated[float, Meta(gt=0)] | None = None
    """Where no crop is named, a photo of less `unfamiliarity` is taken for one of `crop`, and in any other only vegetation and
    soil are told apart. None: every photo is taken for one of `crop`.
    """
    gate: Gate | None = None
    sequence: SequenceOptions = SequenceOptions()


def options_of(model: ModelSpec) -> Options:
    """The model's checked options. Raises ValueError, naming the key, where they are not what this domain needs."""
    return model.options_as(Options)


def choose(crop: object, camera: object, models: Sequence[ModelSpec]) -> Mapping[Camera, ModelSpec]:
    """The model for each camera that may have taken the photo: that of the crop named, else the camera's only one, or where the
    crop named is not among them any.

    Raises InvalidParameter, listing the choices, for a camera or a crop of which there is none, and where a camera has models of
    several crops and none is named.
    """
    offered: dict[Camera, dict[str, ModelSpec]] = {}
    for model in models:
        options = options_of(model)
        offered.setdefault(options.camera, {})[options.crop] = model
    crops = sorted({name for group in offered.values() for name in group})
    if crop is not None and crop not in (*crops, OTHER):
        raise _unnamed(crops)
    if camera is not None and camera not in offered:
        listed = ", ".join(sorted(offered)) or "none is installed"
        raise InvalidParameter(f"name the camera with the parameter 'camera', one of: {listed}", parameter="camera")
    asked = {name: group for name, group in offered.items() if camera in (None, name)}
    if not asked or (crop is None and any(len(group) > 1 for group in asked.values())):
        raise _unnamed(crops)
    return {name: group.get(str(crop), next(iter(group.values()))) for name, group in asked.items()}


def _unnamed(crops: Sequence[str]) -> InvalidParameter:
    listed = ", ".join([*crops, OTHER]) if crops else "none is installed"
    return InvalidParameter(f"name the crop with the parameter 'crop', one of: {listed}", parameter="crop")


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
