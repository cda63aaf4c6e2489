"""The crop and weed domain: a photo of a field from above, what each pixel of it shows, and which plants there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import msgspec
import numpy as np

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
from domains.crop_weed import plants, tiling
from domains.crop_weed.options import Options, choose, ground_resolution_of, options_of
from domains.usability import LOW_CONFIDENCE

ACCEPTED = ("crop", "ground_resolution_mm")
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
        """`crop`, with the installed crops, and `ground_resolution_mm`."""
        return (
            ParameterInfo("crop", "Which crop grows there; may be left out where only one is installed.",
                          tuple(sorted(options_of(model).crop for model in models))),
            ParameterInfo("ground_resolution_mm",
                          "Millimetres of ground that one pixel of the photo spans; guessed where it is left out."),
        )

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError, naming the key, where `[domain_options]` or the input size can't be used."""
        options_of(model)
        if model.input.height % tiling.ALIGNMENT or model.input.width % tiling.ALIGNMENT:
            raise ValueError(f"input: height and width must be multiples of {tiling.ALIGNMENT}")

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """Its `crop`."""
        return {"crop": options_of(model).crop}

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """See sequence.SequenceOptions."""
        options: Mapping[str, Any] = msgspec.to_builtins(options_of(model).sequence)
        return options

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:  # noqa: ARG002  # the contract's
        """Chooses the crop's model. Raises InvalidParameter; a picture of several frames answers for its first."""
        unknown = [name for name in parameters if name not in ACCEPTED]
        if unknown:
            raise InvalidParameter(f"unknown parameter; {self.name} accepts: {', '.join(ACCEPTED)}",
                                   parameter=unknown[0])
        model = choose(parameters.get("crop"), models)
        resolution = ground_resolution_of(parameters.get("ground_resolution_mm"))
        checked: dict[str, object] = {"crop": options_of(model).crop}
        if resolution is not None:
            checked["ground_resolution_mm"] = resolution
        return Plan(model, parameters=checked)

    def flow(self, image: Image, plan: Plan) -> Flow:
        """One run for each tile; returns a Segmentation at the photo's full size."""
        options, spec = options_of(plan.model), plan.model.input
        working = _working_picture(image, options, (plan.parameters or {}).get("ground_resolution_mm"))
        tile = (spec.height, spec.width)
        padded = tiling.pad(working.pixels, tile)
        logits = yield from tiling.blend(padded, tile, partial(ModelCall, plan.model.name), "logits")
        stride = padded.shape[0] / logits.shape[0]
        rows, columns = -(-working.height // int(stride)), -(-working.width // int(stride))
        found = plants.understand(logits[:rows, :columns], options.temperature, options.speck_px / stride**2,
                                  options.dominance)
        scale = (working.width / image.full_width / stride, working.height / image.full_height / stride)
        class_map = plants.paint(found.logits, image.full_width, image.full_height, scale)
        instances, more = plants.instances(found, class_map, plan.model.labels, scale)
        notices = working.notices
        if more:
            notices += (f"Only the {plants.MAX_PLANTS} largest plants are listed; {more} smaller ones were left out.",)
        return Segmentation(plan.model.labels, class_map, instances, _abstention(found.certainty, options), notices)


def _working_picture(image: Image, options: Options, resolution_mm: object) -> WorkingPicture:
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
    method = cv2.INTER_AREA if width <= image.width else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(image.pixels, (width, height), interpolation=method), np.uint8)
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
