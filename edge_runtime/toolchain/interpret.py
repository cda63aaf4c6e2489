"""Runs any TFLite file that takes one picture, ours or a stranger's, with nothing but the file to go by.

Two mistakes that are easily made with TFLite's API can't be made here: an output is dequantised with its own scale and zero
point (not the input's), and what is resized is the input (`resize_tensor_input` takes an output's index as well, and then
changes nothing that matters or all that does).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domains.core import InputSpec, Outputs
from edge_runtime.backends.tflite import Interpreter, TFLiteSession
from edge_runtime.models import TensorInfo
from edge_runtime.tensors import INTEGER_TYPES, PixelEncoder
from edge_runtime.tflite_file import CUSTOM_OP
from edge_runtime.toolchain.tflite import Model, read_model

CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class End:
    """The input or an output of a file: `real = (quantised - zero_point) * scale`; scale 0 means that it isn't quantised.

    `name`: the signature's where the file has one, else the tensor's. `shape` has -1 where the file takes any size.
    `index`: the tensor's, as the interpreter counts.
    """

    name: str
    index: int
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


def quantise(real: NDArray[np.floating], end: End) -> NDArray[np.generic]:
    """Real values as `end` takes them: rounded to the nearest step and clipped to what its type holds.

    Raises ValueError for values that are no numbers.
    """
    if end.dtype == "float32":
        return np.asarray(real, np.float32)
    if not np.isfinite(real).all():
        raise ValueError("the input holds values that are no numbers")
    kind = INTEGER_TYPES[end.dtype]
    limits = np.iinfo(kind)
    steps = np.round(np.asarray(real, np.float64) / end.scale) + end.zero_point
    return np.asarray(np.clip(steps, limits.min, limits.max), kind)


def dequantise(values: NDArray[np.generic], end: End) -> NDArray[np.float32]:
    """Real values of what `end` gave. Integers without a scale, such as class numbers, are taken as they are."""
    if not end.scale:
        return np.asarray(values, np.float32)
    return (values.astype(np.float32) - end.zero_point) * np.float32(end.scale)


class Runner:
    """A file in the interpreter, on the CPU unless `options` say otherwise; for one thread at a time.

    `spec`: how pixels become real values; without it only real values are taken. `options`: further arguments of the
    interpreter, such as its delegates. Raises ValueError, naming the file, where it can't be loaded, or takes anything
    but one picture of 1 or 3 channels in float32, int8 or uint8.
    """

    def __init__(self, path: Path, threads: int = 1, *, spec: InputSpec | None = None,
                 options: Mapping[str, Any] | None = None) -> None:
        model = read_model(path)
        try:
            self.interpreter: Any = Interpreter(model_path=str(path), num_threads=threads, **(options or {}))
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            why = "is compiled for the Edge TPU" if CUSTOM_OP in str(error) else f"can't be run ({_first_line(error)})"
            raise ValueError(f"{path.name} {why}") from error
        self.name = path.name
        inputs = tuple(_ends(self.interpreter.get_input_details(), _names(model, "inputs")))
        self.outputs = tuple(_ends(self.interpreter.get_output_details(), _names(model, "outputs")))
        """In the interpreter's order."""
        self.input = _checked(path.name, inputs)
        self._encoder = None if spec is None else _encoder(path.name, self.input, spec)
        self._session = TFLiteSession(self.interpreter)
        self._shape = tuple(int(size) for size in self.interpreter.get_input_details()[0]["shape"])

    def run(self, pictures: NDArray[np.generic]) -> Outputs:
        """Real values of every output by name, for `pictures` (n, height, width, channels): uint8 pixels, or real values in
        float32. Pictures are run one by one; outputs of n pictures have n as their first axis. Raises ValueError for
        pictures that the file doesn't take.
        """
        if pictures.ndim != 4 or not len(pictures):
            raise ValueError(f"pictures must be (n, height, width, channels), got {pictures.shape}")
        answers = [self.decode(self.invoke_raw(self.encode(pictures[at : at + 1]))) for at in range(len(pictures))]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def encode(self, picture: NDArray[np.generic]) -> NDArray[np.generic]:
        """The input tensor for one picture (1, height, width, channels): uint8 pixels, or real values in float32."""
        if picture.dtype != np.uint8:
            return quantise(np.asarray(picture, np.float32), self.input)
        if self._encoder is None:
            raise ValueError(f"{self.name}: pixels can't be turned into real values without the model's mean and std")
        return self._encoder.encode(np.asarray(picture, np.uint8))

    def invoke_raw(self, tensor: NDArray[np.generic]) -> Sequence[NDArray[np.generic]]:
        """Runs on the input tensor as it is and gives the outputs as they are, copied, in the order of `outputs`.

        A file that takes any size is resized. Raises ValueError for another shape or type than the file takes.
        """
        if tensor.shape != self._shape:
            self._resize(tensor.shape)
        return self._session.invoke(tensor)

    def decode(self, values: Sequence[NDArray[np.generic]]) -> Outputs:
        """Real values, by name, of what `invoke_raw` gave: each with its own scale and zero point."""
        return {end.name: dequantise(value, end) for end, value in zip(self.outputs, values, strict=True)}

    def _resize(self, shape: tuple[int, ...]) -> None:
        wanted = self.input.shape
        if len(shape) != len(wanted) or any(size not in {-1, given} for size, given in zip(wanted, shape, strict=True)):
            raise ValueError(f"{self.name} takes {_text(wanted)}, got {_text(shape)}")
        try:
            self.interpreter.resize_tensor_input(self.input.index, list(shape), strict=True)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{self.name} can't be resized to {_text(shape)} ({_first_line(error)})") from error
        self._shape = shape


def _names(model: Model, which: str) -> dict[int, str]:
    """Tensor indices to the names that the first signature gives them."""
    for signature in model.signatures:
        named: Mapping[str, int] = getattr(signature, which)
        return {index: name for name, index in named.items()}
    return {}


def _ends(details: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> Iterator[End]:
    """Ends by details of the interpreter, each name once."""
    taken: set[str] = set()
    for place, detail in enumerate(details):
        name = names.get(detail["index"]) or str(detail["name"])
        name = f"{name}:{place}" if name in taken else name
        taken.add(name)
        scale, zero_point = detail["quantization"]
        signature = detail.get("shape_signature", detail["shape"])
        shape = signature if len(signature) else detail["shape"]
        yield End(name, int(detail["index"]), np.dtype(detail["dtype"]).name, tuple(int(size) for size in shape),
                  float(scale), int(zero_point))


def _checked(name: str, inputs: Sequence[End]) -> End:
    if len(inputs) != 1:
        raise ValueError(f"{name} must have one input, it has {len(inputs)}")
    end = inputs[0]
    if len(end.shape) != 4 or end.shape[3] not in CHANNELS:
        raise ValueError(f"{name} must take a picture (1, height, width, 1 or 3), it takes {_text(end.shape)}")
    if end.shape[0] not in {-1, 1}:
        raise ValueError(f"{name} takes {end.shape[0]} pictures at once; only files that take one can be run")
    if end.dtype != "float32" and (end.dtype not in INTEGER_TYPES or not end.scale):
        raise ValueError(f"{name} must take float32, or int8 or uint8 with a scale; it takes {end.dtype}")
    return end


def _encoder(name: str, end: End, spec: InputSpec) -> PixelEncoder:
    if any(size not in {-1, wanted} for size, wanted in zip(end.shape, spec.shape, strict=True)):
        raise ValueError(f"{name} takes {_text(end.shape)}, the model's pictures are {_text(spec.shape)}")
    dtype: Any = end.dtype
    return PixelEncoder(spec, TensorInfo(dtype, spec.shape, end.scale, end.zero_point))


def _text(shape: Sequence[int]) -> str:
    return f"({', '.join('any' if size == -1 else str(size) for size in shape)})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
