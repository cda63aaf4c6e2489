"""Small uint8 networks, as TensorFlow 1 quantised them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.edge_runtime.toolchain.edgetpu.tflite_builder import GraphBuilder

SIDE, CHANNELS = 6, 4
ZERO_POINT = 120


class Network(GraphBuilder):
    """A uint8 network of one operator or a few, its inputs first."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)

    def value(self, *shape: int, scale: float = 0.05, zero_point: int = ZERO_POINT) -> int:
        return self._of_steps(self.tensor(*shape, dtype="uint8"), scale, zero_point)

    def weights(self, *shape: int, farthest: int = 0) -> int:
        """As far from zero as int8 goes at most, unless one weight is to be `farthest`."""
        values = self.random.integers(ZERO_POINT - 110, ZERO_POINT + 111, shape)
        if farthest:
            values.flat[0] = ZERO_POINT + farthest
        index = self.constant(*shape, dtype="uint8", values=values.ravel().tolist())
        return self._of_steps(index, 0.01, ZERO_POINT)

    def bias(self, channels: int) -> int:
        index = self.constant(channels, dtype="int32", values=self.random.integers(-2000, 2000, channels).tolist())
        self.tensors[index].quantization = schema.QuantizationParametersT(scale=[0.05 * 0.01], zeroPoint=[0])
        return index

    def written(self, folder: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        path = folder / "network.tflite"
        path.write_bytes(self.data(inputs, outputs))
        return path

    def _of_steps(self, index: int, scale: float, zero_point: int) -> int:
        self.tensors[index].quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero_point])
        return index


def convolution(folder: Path, *, farthest: int = 0) -> Path:
    network = Network()
    source, target = network.value(1, SIDE, SIDE, CHANNELS), network.value(1, SIDE, SIDE, 8, scale=0.2)
    inputs = [source, network.weights(8, 3, 3, CHANNELS, farthest=farthest), network.bias(8)]
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    network.op("CONV_2D", inputs, [target], options)
    return network.written(folder, [source], [target])


def depthwise(folder: Path, *, farthest: int = 0) -> Path:
    network = Network()
    source, target = network.value(1, SIDE, SIDE, CHANNELS), network.value(1, SIDE, SIDE, CHANNELS, scale=0.1)
    options = schema.DepthwiseConv2DOptionsT(strideW=1, strideH=1, depthMultiplier=1, dilationWFactor=1, dilationHFactor=1)
    inputs = [source, network.weights(1, 3, 3, CHANNELS, farthest=farthest), network.bias(CHANNELS)]
    network.op("DEPTHWISE_CONV_2D", inputs, [target], options)
    return network.written(folder, [source], [target])


def dense(folder: Path, *, farthest: int = 0, bias: bool = True) -> Path:
    network = Network()
    source, target = network.value(1, 32), network.value(1, 5, scale=0.2)
    inputs = [source, network.weights(5, 32, farthest=farthest), *([network.bias(5)] if bias else [])]
    network.op("FULLY_CONNECTED", inputs, [target], schema.FullyConnectedOptionsT())
    return network.written(folder, [source], [target])
