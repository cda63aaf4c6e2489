"""Small graphs written by hand."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from edge_runtime.toolchain.tflite import Model, Op, Tensor

SHAPE = (1, 8, 8, 4)


@dataclass
class Sketch:
    """Operators are added one after the other; each gives the tensor that it computes."""

    dtype: str = "float32"
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    def tensor(self, name: str, *, shape: tuple[int, ...] = SHAPE, constant: int = 0, dtype: str = "") -> int:
        index = len(self.tensors)
        scales = (0.1,) if (dtype or self.dtype) == "int8" else ()
        self.tensors.append(Tensor(index, name, dtype or self.dtype, shape, shape, constant, scales, (0,) * len(scales), 0))
        return index

    def op(self, kind: str, *inputs: int, name: str = "", shape: tuple[int, ...] = SHAPE, fused: int | None = None,
           dtype: str = "") -> int:
        output = self.tensor(name or f"{kind.lower()}{len(self.ops)}", shape=shape, dtype=dtype)
        options = None if fused is None else SimpleNamespace(fusedActivationFunction=fused)
        self.ops.append(Op(len(self.ops), kind, 1, inputs, (output,), options))
        return output

    def conv(self, source: int, *, name: str = "", kernel: int = 3, fused: int = 0) -> int:
        weights = self.tensor(f"w{len(self.tensors)}", shape=(4, kernel, kernel, 4), constant=16 * kernel**2)
        return self.op("CONV_2D", source, weights, name=name, fused=fused)

    def model(self, source: int, *outputs: int) -> Model:
        return Model("sketch.tflite", tuple(self.ops), tuple(self.tensors), (source,), outputs)
