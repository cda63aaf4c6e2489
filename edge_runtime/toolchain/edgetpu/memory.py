"""How many bytes a model's parameters take on the chip, from shapes alone.

The layout was read off the executables that Google's compiler makes, by looking for known weights in them. The chip has 16
tiles that work on 4 output channels at once, so

- a layer of more than 64 output channels is padded to a multiple of 64, one of more than 4 to a multiple of 16, and a
  smaller one to 4;
- weights lie in groups of 4 input channels, padded to 4; a depthwise layer's too, of which three in four are zero;
- each layer has a table with 4 bytes a channel (the bias), or 12 where its weights have a scale per channel.

With these alone the sum is the compiler's to the byte for each of the five models that have nothing of what follows:
- SOFTMAX has a table of about 48 bytes a class, in compilers of 2021 on;
- a tensor whose channels are moved to places that are no multiple of 4 is multiplied with a matrix of zeros and ones:
  SPLIT, CONCATENATION, a RESHAPE that flattens, each step of an LSTM. From two models and two published logs: a rough rule.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_runtime.toolchain.tflite import Model, Op, Tensor

CHIP_BYTES = 8 * 2**20
"""On-chip memory: https://coral.ai/docs/edgetpu/compiler/#parameter-data-caching"""
TYPICAL_BYTES = 69 * 2**20 // 10
"""What is left for parameters beside the activations of an ordinary vision model.

Published logs of the compiler: 6.2 MiB (ResNet-50 and -18, 224x224), 6.9 (YOLOv5s, 512x512), 7.0 (Inception-ResNet, 160x160;
SSD FPNLite, 640x640), 7.1 (MobileNetV2, 224x224; YOLOv7-tiny), 7.5 (EfficientDet-Lite0, 320x320).
"""
_ALIGNED = 64
_GROUP = 4
_TABLE, _TABLE_PER_CHANNEL = 4, 12
_SOFTMAX_TABLE = 48
_MAX_CHANNELS = 65_536
"""Channels of a SPLIT or CONCATENATION that are followed one by one. Beyond, as with a vector made of maps, none moves alone."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that stay on the chip, that are sent for every run since they don't fit, and that the chip has for parameters."""

    cached: int
    streamed: int
    available: int


def lay_out(model: Model, ops: Sequence[Op]) -> Memory:
    """Where the parameters of these operators go.

    The memory is filled to the last KiB, with one exception that a published log of a Dense of 8192 x 8192 shows: a layer
    that is larger by itself than all of it is streamed whole. What is available beside the activations is an estimate, good
    to about 12 % (see TYPICAL_BYTES).
    """
    activations = max((_activation_bytes(model, op) for op in ops), default=0)
    available = max(TYPICAL_BYTES, CHIP_BYTES - activations)
    sizes = [_op_bytes(model, op) for op in ops]
    needed = _up(sum(sizes), _ALIGNED) + _selections(model, ops)
    cached = min(available, needed - sum(size for size in sizes if size > available))
    return Memory(cached, needed - cached, available)


def _activation_bytes(model: Model, op: Op) -> int:
    tensors = [model.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    return sum(math.prod(tensor.shape) for tensor in tensors if not tensor.constant_bytes)


def _op_bytes(model: Model, op: Op) -> int:
    layout = _LAYOUTS.get(op.name)
    return layout([model.tensors[index] for index in op.inputs], model.tensors[op.outputs[0]]) if layout else 0


def _layer(inputs: Sequence[Tensor], _output: Tensor) -> int:
    """Weights of shape (outputs, height, width, inputs) or (outputs, inputs), and their table."""
    weights = inputs[1]
    return _matrix(weights.shape[0] if weights.shape else 1, math.prod(weights.shape[1:-1]) * _up(_last(weights), _GROUP), _table(weights))


def _depthwise(inputs: Sequence[Tensor], _output: Tensor) -> int:
    weights = inputs[1]
    return _last(weights) * (math.prod(weights.shape[1:-1]) * _GROUP + _table(weights))


def _slopes(inputs: Sequence[Tensor], _output: Tensor) -> int:
    return _channels(_last(inputs[1])) * _TABLE_PER_CHANNEL


def _softmax(inputs: Sequence[Tensor], _output: Tensor) -> int:
    return _SOFTMAX_TABLE * _last(inputs[0])


def _matrix(outputs: int, inputs: int, table: int) -> int:
    return _channels(outputs) * (inputs + table)


def _flattening(inputs: Sequence[Tensor], after: Tensor) -> int:
    """(1, places, channels) made one vector. Channels that don't fill the tiles have to be moved.

    Seen: nothing for 1x1 places; channels by channels for each place with 28 x 20; the whole vector by itself with 180 x 27.
    """
    channels, length = _last(inputs[0]), math.prod(inputs[0].shape)
    if length != _last(after) or length == channels or channels % 16 == 0:
        return 0
    if channels % _GROUP:
        return _matrix(length, _up(length, _GROUP), _TABLE)
    return length // channels * _matrix(channels, channels, _TABLE)


def _lstm(inputs: Sequence[Tensor], _output: Tensor) -> int:
    """Four gates, each over a step's input and the state; and for each step a matrix that picks its input out."""
    sequence, weights = inputs[0], inputs[2]
    units, features = weights.shape[0] if weights.shape else 1, _last(weights)
    steps = sequence.shape[-2] if len(sequence.shape) > 1 else 1
    return 4 * _matrix(units, _up(features, _GROUP) + _up(units, _GROUP), _TABLE) + steps * 2 * _up(_GROUP * features, _ALIGNED)


_LAYOUTS: dict[str, Callable[[Sequence[Tensor], Tensor], int]] = {
    "CONV_2D": _layer, "TRANSPOSE_CONV": _layer, "FULLY_CONNECTED": _layer, "DEPTHWISE_CONV_2D": _depthwise,
    "PRELU": _slopes, "SOFTMAX": _softmax, "RESHAPE": _flattening, "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}


def _selections(model: Model, ops: Sequence[Op]) -> int:
    """The matrices that move channels where SPLIT and CONCATENATION leave them off the multiples of 4.

    A tensor that is only taken apart and put together is followed to its sources, as the compiler does: nothing is moved
    until the result is used by something else.
    """
    moves = {op.outputs[i]: op for op in ops if op.name in {"SPLIT", "CONCATENATION"} for i in range(len(op.outputs))}
    sources: dict[int, list[tuple[int, int]]] = {}
    used = {index for op in ops if op.name not in {"SPLIT", "CONCATENATION"} for index in op.inputs} | set(model.outputs)
    total = 0
    for op in ops:
        if op.outputs and moves.get(op.outputs[0]) is op and _on_channels(model, op) and _is_narrow(model, op):
            _follow(model, op, sources)
            total += sum(_selection(model, sources[index]) for index in op.outputs if index in used)
    return total


def _is_narrow(model: Model, op: Op) -> bool:
    """Whether channels are moved to or from places off the multiples of 4, and are few enough to follow."""
    tensors = [model.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0 and not model.tensors[index].values]
    return sum(_last(tensor) for tensor in tensors) <= _MAX_CHANNELS and any(_last(tensor) % _GROUP for tensor in tensors)


def _on_channels(model: Model, op: Op) -> bool:
    rank = len(model.tensors[op.outputs[0]].shape)
    values = model.tensors[op.inputs[0]].values if op.name == "SPLIT" else (getattr(op.options, "axis", 0),)
    return rank > 0 and bool(values) and values[0] % rank == rank - 1


def _follow(model: Model, op: Op, sources: dict[int, list[tuple[int, int]]]) -> None:
    """Notes for each channel of the outputs which tensor's which channel it is."""
    data = op.inputs[1:] if op.name == "SPLIT" else op.inputs
    channels: list[tuple[int, int]] = []
    for index in data:
        channels += sources.get(index) or [(index, channel) for channel in range(_last(model.tensors[index]))]
    start = 0
    for index in op.outputs:
        size = _last(model.tensors[index])
        sources[index] = channels[start:start + size]
        start += size


def _selection(model: Model, channels: list[tuple[int, int]]) -> int:
    """Nothing where the channels already lie as one source has them, from a multiple of 4 on."""
    if not channels:
        return 0
    tensor, first = channels[0]
    if first % _GROUP == 0 and channels == [(tensor, first + number) for number in range(len(channels))]:
        return 0
    inputs = sum(_up(_last(model.tensors[index]), _GROUP) for index in {index for index, _ in channels})
    return _up(_channels(len(channels)) * inputs, _ALIGNED)


def _channels(count: int) -> int:
    if count <= _GROUP:
        return _GROUP
    return _up(count, 64 if count > 64 else 16)


def _table(weights: Tensor) -> int:
    return _TABLE_PER_CHANNEL if len(weights.scales) > 1 else _TABLE


def _last(tensor: Tensor) -> int:
    return max(1, tensor.shape[-1]) if tensor.shape else 1


def _up(count: int, step: int) -> int:
    return -(-count // step) * step
