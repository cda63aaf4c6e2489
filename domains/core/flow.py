"""The contract of a domain: which model answers a request, and the flow that turns a picture into a result.

A flow is a generator. It yields `ModelCall`s and is sent the outputs; it returns a `Result`. It holds no interpreter,
socket, clock or setting, so a test can drive it with arrays and a worker with a device.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from domains.core.image import Image, MediaHeader, Pixels
from domains.core.results import Result
from domains.core.spec import ModelSpec

Outputs = Mapping[str, NDArray[np.float32]]
"""Output name (as in the manifest) to real values, dequantised, with the leading batch axis of 1."""

Parameters = Mapping[str, object]
"""The caller's parameters: JSON values."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A wish for one run of `model` on `pixels`: uint8 (1, height, width, channels), the size that the model takes."""

    model: str
    pixels: Pixels


Flow = Generator[ModelCall, Outputs, Result]


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided from the header and the parameters, before any pixel is decoded.

    `model`: the model that answers. `frame_number`: which frame to decode, from 1. `min_side`: decoding may halve the
    picture as long as its shorter side keeps at least this many pixels; None asks for full size.
    `parameters`: the checked parameters, as they will be stored with the answer.
    `notices`: what was decided for the caller, for the result to say.
    `by_pixels`: where only the pixels tell which model answers, the plan for a picture; `model` is the likeliest until then.
    """

    model: ModelSpec
    frame_number: int = 1
    min_side: int | None = None
    parameters: Mapping[str, object] | None = None
    notices: tuple[str, ...] = ()
    by_pixels: "Callable[[Image], Plan] | None" = None

    def settled(self, image: Image) -> "Plan":
        """The plan for `image`, in which nothing is open."""
        return self if self.by_pixels is None else self.by_pixels(image)


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter that callers of a domain may give; shown by `GET /v1/domains` and in `hedgerow domains`."""

    name: str
    description: str
    choices: tuple[str, ...] = ()


class Domain(Protocol):
    """One folder under `domains/`. Its `domain.py` offers an instance under the name `DOMAIN`."""

    @property
    def name(self) -> str:
        """The folder's name."""

    @property
    def title(self) -> str:
        """One line for people."""

    def parameters(self, models: Sequence[ModelSpec]) -> Sequence[ParameterInfo]:
        """The parameters that callers may give, with the choices that the installed models offer."""

    def check_model(self, model: ModelSpec) -> None:
        """Raises ValueError, naming the key, where a manifest's `[domain_options]` are not what this domain needs."""

    def selector(self, model: ModelSpec) -> Mapping[str, str]:
        """The parameters by which callers ask for `model`, such as `{"exam": "lung_ultrasound"}`."""

    def sequence_options(self, model: ModelSpec) -> Mapping[str, Any]:
        """What `model` says of sequences of frames, as JSON values: what the domain's `sequence.py` is opened with."""

    def plan(self, header: MediaHeader, parameters: Parameters, models: Sequence[ModelSpec]) -> Plan:
        """Chooses the model. Raises InvalidParameter (or UnknownExam) where the parameters don't fit."""

    def flow(self, image: Image, plan: Plan) -> Flow:
        """Starts the flow that answers `plan` for `image`."""
