"""The crop and weed domain: a photo of a field from above, what each pixel of it shows, and which plants there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from domains.core import (
    Abstention,
    Flow,
    Image,
    InvalidParameter,
    MediaHeader,
    ModelCall,
    ModelSpec,
    ParameterInfo,
    Parameters,
    Pixels,
    Plan,
    Segmentation,
)
from domains.core.gate import FAMILIARITY, UNFAMILIARITY, check_gate, noting, refusal, unfamiliarity
from domains.core.resize import averaged
from domains.crop_weed import plants, tiling, vegetation
from domains.crop_weed.cameras import RGB, TITLES, Camera, camera_of
from domains.crop_weed.options import OTHER, Options, choose, ground_resolution_of, options_of
from domains.usability import LOW_CONFIDENCE

ACCEPTED = ("crop", "camera", "ground_resolution_mm")
VEGETATION_ALONE = ("soil", "vegetation")
OUTPUTS = {"patches": ("logits",), "centres": ("logits", "centres", "offsets")}
"""What is asked of a network, by how its plants are told apart."""
LONGEST_WORKING_PX = 4096
"""The longest side on which tiles run: some 200 tiles, a few seconds of one core."""


@dataclass(frozen=True, slots=True)
class WorkingPicture:
    """The photo at the scale at which the network runs; `width` and `height` are without padding."""

    pixels: Pixels
    width: int
    height: int
    notices: tuple[str, ...]


class CropWeedDomain:
    """Field photos: soil, crop and weed, pixel by pixel and plant by plant."""

    name = "crop_weed"
    title = "Field photos: soil, crop and weed by pixel and by plant"

    def parameters(self, models: Sequence[ModelSpec]) -> Sequence[ParameterInfo]:
        """`crop` and `camera`, with those of the installed models, and `ground_resolution_mm`."""
        crops = sorted({options_of(model).crop for model in models})
        return (
            ParameterInfo("crop", "Which crop grows there; 'other' where it is none of those, then only soil and vegetation are told "
                          "apart, as where it is left out and the photo doesn't look like the fields of one.", (*crops, OTHER)),
            ParameterInfo("camera", "What took the photo: rgb, or red_nir (red stored as red and blue, near infrared as green); found "
                          "from the pixels where it is left out.", tuple(sorted({options_of(model).camera for model in models}))),
            ParameterInfo("ground_resolution_mm",
                          "Millimetres of ground that one pixel of the photo spans; guessed where it is left out."),
        )

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError, naming the key, where `[domain_options]` or the input size can't be used, or where an output is missing
        that the options ask for.
        """
        options = options_of(model)
        check_gate(options.gate, model)
        missing = sorted({*OUTPUTS[options.apart], *([FAMILIARITY] if options.own_crop_below else [])} - {*model.outputs, "logits"})
        if missing:
            raise ValueError(f"domain_options: apart and own_crop_below: every variant needs the output {missing[0]!r}")
        if model.input.height % tiling.ALIGNMENT or model.input.width % tiling.ALIGNMENT:
            raise ValueError(f"input: height and width must be multiples of {tiling.ALIGNMENT}")

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """Its `crop` and its `camera`."""
        options = options_of(model)
        return {"crop": options.crop, "camera": options.camera}

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """See sequence.OpenedWith."""
        options = options_of(model)
        gate = {} if options.gate is None else msgspec.to_builtins(options.gate)
        return {**msgspec.to_builtins(options.sequence), **gate}

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:  # noqa: ARG002  # the contract's
        """Chooses the model, by the picture's pixels where the camera isn't named and there are models for several.

        Raises InvalidParameter; a picture of several frames answers for its first.
        """
        unknown = [name for name in parameters if name not in ACCEPTED]
        if unknown:
            raise InvalidParameter(f"unknown parameter; {self.name} accepts: {', '.join(ACCEPTED)}",
                                   parameter=unknown[0])
        crop, camera = parameters.get("crop"), parameters.get("camera")
        found = choose(crop, camera, models)
        checked: dict[str, object] = {name: value for name, value in (("crop", crop), ("camera", camera)) if value is not None}
        resolution = ground_resolution_of(parameters.get("ground_resolution_mm"))
        if resolution is not None:
            checked["ground_resolution_mm"] = resolution
        if len(found) == 1:
            return Plan(next(iter(found.values())), parameters=checked)
        likeliest = next((model for model in found.values() if options_of(model).crop == crop), found.get(RGB))
        return Plan(likeliest or next(iter(found.values())), parameters=checked, by_pixels=partial(_by_pixels, found, checked))

    def flow(self, image: Image, plan: Plan) -> Flow:
        """One run for each tile; returns a Segmentation at the photo's full size, empty where half of the tiles are foreign, and
        of soil and vegetation alone where the crop isn't known.
        """
        options, spec = options_of(plan.model), plan.model.input
        asked = plan.parameters or {}
        working = working_picture(image, options, asked.get("ground_resolution_mm"))
        tile = (spec.height, spec.width)
        padded = tiling.pad(working.pixels, tile)
        tiles: list[NDArray[np.float32]] = []
        blended = tiling.blend(padded, tile, partial(ModelCall, plan.model.name), *OUTPUTS[options.apart])
        grid = yield from noting(blended, tiles)
        signals = {UNFAMILIARITY: unfamiliarity({FAMILIARITY: np.concatenate(tiles)})} if tiles else {}
        refused = options.gate and refusal(signals[UNFAMILIARITY], options.gate)
        if refused:
            nothing = np.zeros((image.full_height, image.full_width), np.uint8)
            return Segmentation(plan.model.labels, nothing, abstention=refused, notices=plan.notices, signals=signals)
        stride = padded.shape[0] // grid.shape[0]
        seen = grid[: -(-working.height // stride), : -(-working.width // stride)]
        labels, told = _labels(plan.model, asked.get("crop"), signals)
        if labels == plan.model.labels:
            found = understood(seen, options, stride)
        else:
            logits = vegetation.alone(seen[..., : len(plan.model.labels)], options.temperature)
            logits = vegetation.trimmed(logits, padded, options.camera, stride)
            found = understood(np.concatenate([logits, seen[..., len(plan.model.labels) :]], axis=2), options, stride)
        scale = (working.width / image.full_width / stride, working.height / image.full_height / stride)
        class_map = plants.paint(found.logits, image.full_width, image.full_height, scale)
        instances, more = plants.instances(found, class_map, labels, scale)
        notices = (*plan.notices, *told, *working.notices)
        if more:
            notices += (f"Only the {plants.MAX_PLANTS} largest plants are listed; {more} smaller ones were left out.",)
        return Segmentation(labels, class_map, instances, _abstention(found.certainty, options), notices, signals)


def understood(grid: tiling.Grid, options: Options, stride: int) -> plants.PlantMap:
    """The plants of a photo from its blended outputs, (h, w, channels) in the order of OUTPUTS."""
    pointers = None
    logits = grid
    if options.apart == "centres":
        logits, heat, offsets = grid[..., :-3], grid[..., -3], grid[..., -2:]
        pointers = plants.Pointers(heat, offsets)
    return plants.understand(logits, options.temperature, options.speck_px / stride**2, options.dominance, pointers)


def _by_pixels(found: Mapping[Camera, ModelSpec], checked: Mapping[str, object], image: Image) -> Plan:
    camera = camera_of(image.pixels)
    told = f"By its pixels the photo was taken to be {TITLES[camera]}; name another camera with the parameter 'camera'."
    model = found.get(camera) or next(iter(found.values()))
    return Plan(model, parameters={**checked, "camera": options_of(model).camera}, notices=(told,))


def _labels(model: ModelSpec, named: object, signals: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the map tells apart, and what is said about that. `named`: the crop that the caller gave, or None."""
    options = options_of(model)
    if named == options.crop or (named is None and options.own_crop_below is None):
        return model.labels, ()
    if named is None and signals[UNFAMILIARITY] < (options.own_crop_below or 0):
        told = f"No crop was named: the photo looks like the fields of {options.crop} from which the model learnt, and was taken for one."
        return model.labels, (told,)
    why = "No crop was named, and the photo does not look like the fields from which the model learnt"
    if named is not None:
        why = f"No model knows the crop '{named}' as this camera sees it"
    return VEGETATION_ALONE, (f"{why}: only soil and vegetation are told apart, not crop and weed.",)


def working_picture(image: Image, options: Options, resolution_mm: object) -> WorkingPicture:
    """The photo at the model's scale. `resolution_mm`: millimetres of ground a pixel of the photo, None where nobody knows."""
    longest = max(image.full_width, image.full_height)
    notices: tuple[str, ...] = ()
    if isinstance(resolution_mm, float):
        wanted = longest * resolution_mm / options.ground_resolution_mm
        if wanted > LONGEST_WORKING_PX:
            wanted = LONGEST_WORKING_PX
            notices = (_coarser(longest * resolution_mm / wanted, options),)
    else:
        wanted = options.long_side_px
        notices = (_assumed(options),)
    width = max(1, round(wanted * image.full_width / longest))
    height = max(1, round(wanted * image.full_height / longest))
    if (width, height) == (image.width, image.height):
        return WorkingPicture(image.pixels, width, height, notices)
    if width <= image.width:
        return WorkingPicture(averaged(image.pixels, width, height), width, height, notices)
    pixels = np.asarray(cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return WorkingPicture(pixels, width, height, notices)


def _coarser(used_mm: float, options: Options) -> str:
    return (f"The photo covers so much ground that it was analysed at {used_mm:.2f} mm a pixel instead of the model's "
            f"{options.ground_resolution_mm:g} mm: small plants may be missed.")


def _assumed(options: Options) -> str:
    return ("It was assumed that the photo shows as much ground as the model's training photos do "
            f"({options.long_side_px} pixels of about {options.ground_resolution_mm:g} mm along its long side); "
            "give 'ground_resolution_mm' if it shows more or less.")


def _abstention(certainty: float, options: Options) -> Abstention | None:
    if certainty >= options.abstain_below:
        return None
    return Abstention(
        LOW_CONFIDENCE,
        f"Over what looks like plants the leading class has a mean probability of {certainty:.2f}; "
        f"below {options.abstain_below:.2f} this model doesn't stand by its map.",
    )


DOMAIN = CropWeedDomain()
