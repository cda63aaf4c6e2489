"""Tensors on their way to a model and back, without numpy: what the gateway and the wire know of an array."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_runtime.wire import ReplyMessage, TaskMessage, TensorSpec

ITEM_BYTES: Mapping[str, int] = {"uint8": 1, "float32": 4}
"""What tensors of models hold, by numpy's names. Little-endian."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array, the last axis running fastest. Raises ValueError where the bytes aren't as many as the shape asks for."""

    spec: TensorSpec
    content: bytes | memoryview

    def __post_init__(self) -> None:
        wanted = size_bytes(self.spec)
        if len(self.content) != wanted:
            raise ValueError(f"{self.spec.name} holds {len(self.content)} bytes, {self.spec.datatype} of the shape "
                             f"{list(self.spec.shape)} are {wanted}")


def size_bytes(spec: TensorSpec) -> int:
    """Bytes of such a tensor. Raises ValueError for a datatype that no model has, and for a shape that is none."""
    if spec.datatype not in ITEM_BYTES or any(length < 0 for length in spec.shape):
        raise ValueError(f"{spec.name} can't be {spec.datatype} of the shape {list(spec.shape)}")
    return math.prod(spec.shape) * ITEM_BYTES[spec.datatype]


def to_task(model: str, inputs: Sequence[Tensor]) -> tuple[TaskMessage, dict[str, bytes | memoryview]]:
    """The work of running `model` on tensors, and its blobs."""
    task = TaskMessage(0, "infer", "", model=model, tensors=[tensor.spec for tensor in inputs])
    return task, {tensor.spec.name: tensor.content for tensor in inputs}


def from_task(task: TaskMessage, blobs: Mapping[str, bytes]) -> list[Tensor]:
    """The tensors of such work. Raises ValueError where the blobs aren't those that it speaks of."""
    return _joined(task.tensors, blobs)


def from_reply(reply: ReplyMessage, blobs: Mapping[str, bytes]) -> list[Tensor]:
    """The output tensors that a reply came with. Raises ValueError where the blobs aren't those that it speaks of."""
    return _joined(reply.tensors, blobs)


def _joined(specs: Sequence[TensorSpec], blobs: Mapping[str, bytes]) -> list[Tensor]:
    return [Tensor(spec, blobs.get(spec.name, b"")) for spec in specs]
