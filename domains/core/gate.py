"""Whether a picture is of the world that a model was made for, told by what the model computes of it anyway.

The network's output `familiarity` is K projections of its own pooled features, whitened on pictures of its world, where each
has mean 0 and variance 1. Their mean square is then about 1 there, and more the less a picture resembles them: a Mahalanobis
distance (Lee et al., A simple unified framework for detecting out-of-distribution samples, 2018) that costs no second network.
"""

from collections.abc import Generator
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from domains.core.flow import ModelCall, Outputs
from domains.core.results import Abstention
from domains.core.spec import ModelSpec
from domains.usability import FOREIGN

Returned = TypeVar("Returned")

FAMILIARITY = "familiarity"
"""The output, (1, K)."""
UNFAMILIARITY = "unfamiliarity"
"""The signal of a result; see `unfamiliarity`."""


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[domain_options.gate]` of a model that notices foreign pictures."""

    foreign_from: Annotated[float, Meta(gt=0)]
    """From this `unfamiliarity` on a picture is foreign."""
    world: Annotated[str, Meta(min_length=1)]
    """What the model's pictures are, as it stands behind "a": `breast ultrasound`."""


def unfamiliarity(outputs: Outputs) -> float:
    """The mean square of `familiarity` (n, K), rounded to 4 digits; over n tiles of one picture the median."""
    squares = np.square(np.asarray(outputs[FAMILIARITY], np.float64)).mean(axis=-1)
    return round(float(np.median(squares)), 4)


def noting(calls: Generator[ModelCall, Outputs, Returned], into: list[NDArray[np.float32]]) -> Generator[ModelCall, Outputs, Returned]:
    """`calls` as they are; the `familiarity` of each, where the network gives it, is put `into` the list."""
    try:
        call = next(calls)
        while True:
            outputs = yield call
            if FAMILIARITY in outputs:
                into.append(outputs[FAMILIARITY])
            call = calls.send(outputs)
    except StopIteration as ended:
        returned: Returned = ended.value
        return returned


def refusal(value: float, gate: Gate) -> Abstention | None:
    """Why a picture of the unfamiliarity `value` gets no answer; None where it gets one. What is no number gets none."""
    if value < gate.foreign_from:
        return None
    return Abstention(FOREIGN, f"This does not look like a {gate.world}, and this model knows nothing else.")


def check_gate(gate: Gate | None, model: ModelSpec) -> None:
    """Raises ValueError where `model` has a gate and a variant of it doesn't give what the gate looks at."""
    if gate is not None and FAMILIARITY not in model.outputs:
        raise ValueError(f"domain_options.gate: every variant needs the output {FAMILIARITY!r}")
