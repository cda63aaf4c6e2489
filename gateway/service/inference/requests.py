"""An inference as a caller asks for it, and its answer; the same for both transports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.service.inference.arrays import Array, Content, check, invalid
from gateway.service.inference.models import Model
from gateway.service.inference.shared_memory import Place

OWN = frozenset({"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output", "headers"})
"""The protocol's own parameters of a request; all others, but for Triton's, are the domain's."""
OWN_PREFIX = "triton_"
BASE64 = "base64"
CONTENT_TYPE = "content_type"
"""Parameter of an input whose bytes are base64, and of an output in JSON that holds bytes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that is asked for. `classification`: so many of its highest values instead of it, where not 0."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classification(self) -> int:
        """Raises INVALID_ARGUMENT."""
        count = self.parameters.get("classification", 0)
        if type(count) is not int or count < 0:
            raise invalid("is no number of classes", "classification")
        return count


@dataclass(frozen=True, slots=True)
class InferRequest:
    """`inputs` whose tensors lie in shared memory have no content. No `outputs` means all."""

    model: str
    version: str = ""
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[Array] = ()
    outputs: Sequence[Wanted] = ()

    @property
    def timeout_s(self) -> float | None:
        """The parameter `timeout`, microseconds; None where there is none, or 0. Raises INVALID_ARGUMENT."""
        given = self.parameters.get("timeout", 0)
        if type(given) is not int or given < 0:
            raise invalid("is no number of microseconds", "timeout")
        return given / 1e6 or None

    @property
    def domain_parameters(self) -> dict[str, Any]:
        """Those that are the domain's."""
        return {name: value for name, value in self.parameters.items() if name not in OWN and not name.startswith(OWN_PREFIX)}


@dataclass(frozen=True, slots=True)
class Output:
    """An output tensor; `wanted` says how it was asked for, and `place` in which shared memory it lies already."""

    array: Array
    wanted: Wanted
    place: Place | None = None

    @property
    def content(self) -> Content:
        """What is sent of it: nothing where it lies in shared memory."""
        return b"" if self.place else self.array.content

    @property
    def parameters(self) -> dict[str, Any]:
        """What the answer says of it."""
        if self.place is None:
            return {}
        return {"shared_memory_region": self.place.region.name, "shared_memory_offset": self.place.offset,
                "shared_memory_byte_size": len(self.array.content)}


@dataclass(frozen=True, slots=True)
class InferResponse:
    """The answer: model and version that gave it, the caller's id, and the outputs in the order asked for."""

    model: str
    version: str
    id: str
    outputs: Sequence[Output]


def check_inputs(model: Model, inputs: Sequence[Array]) -> list[Array]:
    """The inputs in the model's order. Raises INVALID_ARGUMENT unless they are exactly those that it takes."""
    given = {tensor.name: tensor for tensor in inputs}
    known = {signature.name for signature in model.inputs}
    listed = ", ".join(f"{one.name} {one.datatype} {list(one.shape)}" for one in model.inputs)
    if set(given) != known or len(given) != len(inputs):
        raise invalid(f"{model.name} takes exactly one tensor of each of these: {listed}", "inputs")
    for signature in model.inputs:
        check(given[signature.name], signature)
    return [given[signature.name] for signature in model.inputs]


def check_outputs(model: Model, outputs: Sequence[Wanted]) -> Sequence[Wanted]:
    """What is asked for, or everything. Raises INVALID_ARGUMENT for an output that there isn't."""
    known = [signature.name for signature in model.outputs]
    if any(one.name not in known for one in outputs) or len({one.name for one in outputs}) < len(outputs):
        raise invalid(f"the outputs of {model.name} are {', '.join(known)}, each at most once", "outputs")
    return outputs or [Wanted(name) for name in known]
