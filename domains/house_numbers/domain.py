"""The house number domain: one digit, which of ten it is, and how sure. docs/add-a-domain.md goes through it line by line."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domains.core import (
    Flow,
    Image,
    InvalidParameter,
    MediaHeader,
    ModelCall,
    ModelSpec,
    ParameterInfo,
    Parameters,
    Plan,
)
from domains.house_numbers.options import box_of, choose, options_of
from domains.house_numbers.postprocess import classify
from domains.house_numbers.preprocess import fit_to_input, seen_box

ACCEPTED = ("model", "box")


class HouseNumbersDomain:
    """Pictures of one digit: which, how sure, and which others can't be ruled out."""

    name = "house_numbers"
    title = "House numbers: which digit a picture shows"

    def parameters(self, models: Sequence[ModelSpec]) -> Sequence[ParameterInfo]:
        """`model`, with the installed ones, and `box`."""
        return (
            ParameterInfo("model", "Which model answers; may be left out where only one is installed.",
                          tuple(sorted(model.name for model in models))),
            ParameterInfo("box", "Where the digit is in the picture, as left,top,width,height in pixels; "
                                 "the whole picture by default."),
        )

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError, naming the key, where `[domain_options]` or the input can't be used."""
        options_of(model)
        if model.input.channels != 1:
            raise ValueError(f"input: channels must be 1 (grey), got {model.input.channels}")

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """Its own name."""
        return {"model": model.name}

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """See sequence.OpenedWith."""
        options = options_of(model)
        return {**msgspec.to_builtins(options.sequence), "abstain_below": options.abstain_below}

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:
        """Chooses the model and checks the box. Raises InvalidParameter; a picture of several frames answers for its first."""
        unknown = [name for name in parameters if name not in ACCEPTED]
        if unknown:
            raise InvalidParameter(f"unknown parameter; {self.name} accepts: {', '.join(ACCEPTED)}",
                                   parameter=unknown[0])
        model = choose(parameters.get("model"), models)
        checked: dict[str, object] = {"model": model.name}
        box = box_of(parameters.get("box"), header.width, header.height)
        if "box" in parameters:
            checked["box"] = [box.x, box.y, box.width, box.height]
        return Plan(model, parameters=checked)

    def flow(self, image: Image, plan: Plan) -> Flow:
        """One run on the square around the digit; returns a Classification."""
        digit = box_of((plan.parameters or {}).get("box"), image.full_width, image.full_height)
        outputs = yield ModelCall(plan.model.name, fit_to_input(image, digit, plan.model.input))
        return classify(outputs, plan.model.labels, options_of(plan.model), seen_box(image, digit))


DOMAIN = HouseNumbersDomain()
