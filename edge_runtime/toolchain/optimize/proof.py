"""Whether what was pruned or clustered is still so in the TFLite file. No TensorFlow here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge_runtime.toolchain.tflite import Tensor, read_model

_WITH_FILTERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
"""The filter is the second input of each."""


def check_zeros(path: Path, kernels: Iterable[NDArray[Any]]) -> str:
    """Raises ValueError where the file has fewer zeros among its weights than the pruned kernels have; else says how many."""
    wanted = sum(int(np.count_nonzero(kernel == 0)) for kernel in kernels)
    zeros = total = 0
    for tensor, values in _filters(path):
        zero = tensor.zero_points[0] if tensor.zero_points else 0
        zeros += int(np.count_nonzero(values == zero))
        total += values.size
    if zeros < wanted:
        raise ValueError(f"{wanted:,} weights were pruned, but only {zeros:,} are zero in the file")
    return f"{zeros / total:.1%} of the file's {total:,} weights are zero"


def check_values(path: Path, kernels: Sequence[NDArray[Any]], values: int) -> str:
    """Raises ValueError where a clustered kernel has more different values in the file than it had; else says so. A tensor
    with a scale for each channel is counted channel by channel.
    """
    alike: Counter[int] = Counter()
    for tensor, found in _filters(path):
        channels = np.moveaxis(found, tensor.quantised_axis, 0) if len(tensor.scales) > 1 else found[None]
        alike[found.size] += all(len(np.unique(channel)) <= values for channel in channels)
    clustered = Counter(kernel.size for kernel in kernels)
    for size, layers in clustered.items():
        if alike[size] < layers:
            raise ValueError(f"a layer of {size:,} weights has more than the {values} different ones that it was clustered to")
    return f"at most {values} different weights in each of {len(kernels)} layers"


def _filters(path: Path) -> Iterator[tuple[Tensor, NDArray[Any]]]:
    """The weights of each convolution and fully connected layer, each tensor once, as they are stored."""
    model = read_model(path)
    interpreter = Interpreter(model_path=str(path))
    places = {op.inputs[1] for op in model.ops if op.name in _WITH_FILTERS}
    for place in sorted(places):
        yield model.tensors[place], interpreter.get_tensor(place)
