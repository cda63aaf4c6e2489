"""A domain for benchmarks/serving.py: the five best of a thousand labels. The benchmark puts it beside the shipped domains in a
folder of its own, as docs/add-a-domain.md tells; it isn't part of the program.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from domains.core import (
    Box,
    Classification,
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
from domains.core.resize import averaged

BEST = 5
REST = "any other"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options]`. `min_side`: decoding may halve a picture while its shorter side keeps so many pixels; 0: never."""

    min_side: Annotated[int, Meta(ge=0)] = 0


class TopFiveDomain:
    """Photos: the five most probable labels, and how probable all others together are."""

    name = "top_five"
    title = "Photos: the five most probable labels (a benchmark)"

    def parameters(self, models: Sequence[ModelSpec]) -> Sequence[ParameterInfo]:
        """`model`."""
        return (ParameterInfo("model", "Which model answers.", tuple(sorted(model.name for model in models))),)

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError where `[domain_options]` aren't Options."""
        model.options_as(Options)

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """Its own name."""
        return {"model": model.name}

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """None: a benchmark has no clips."""
        del model
        return {}

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:
        """The model of that name. Raises InvalidParameter."""
        del header
        for model in models:
            if model.name == parameters.get("model"):
                return Plan(model, min_side=model.options_as(Options).min_side or None, parameters={"model": model.name})
        raise InvalidParameter("name the model", parameter="model")

    def flow(self, image: Image, plan: Plan) -> Flow:
        """One run on the whole picture, made smaller as the shipped domains make it."""
        spec = plan.model.input
        outputs = yield ModelCall(plan.model.name, averaged(image.pixels, spec.width, spec.height)[np.newaxis])
        scores = outputs["probabilities"][0]
        best = np.argsort(-scores, kind="stable")[:BEST]
        shares = [round(float(scores[index]), 6) for index in best]
        whole = Box(0, 0, image.full_width, image.full_height)
        return Classification((*(plan.model.labels[index] for index in best), REST),
                              (*shares, round(max(0.0, 1 - sum(shares)), 6)), whole)


DOMAIN = TopFiveDomain()
