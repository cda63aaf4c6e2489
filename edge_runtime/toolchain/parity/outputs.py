"""What comes out of both, value by value: the only thing that can be seen of a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_runtime.toolchain.interpret import End, dequantise
from edge_runtime.toolchain.parity.report import OutputParity
from edge_runtime.toolchain.parity.tensors import Sums

Raw = NDArray[np.generic]


@dataclass(slots=True)
class _Output:
    a: End
    b: End
    sums: Sums
    values: int = 0
    differing: int = 0
    largest: float = 0.0

    @property
    def same_steps(self) -> bool:
        return self.a.scale > 0 and (self.a.dtype, self.a.scale, self.a.zero_point) == (self.b.dtype, self.b.scale, self.b.zero_point)

    def add(self, one: Raw, two: Raw) -> None:
        here, there = dequantise(one, self.a), dequantise(two, self.b)
        self.sums.add(here, there)
        away = np.abs(here - there) if not self.same_steps else np.abs(one.astype(np.float32) - two.astype(np.float32))
        self.values += away.size
        self.differing += int(np.count_nonzero(away))
        self.largest = max(self.largest, float(away.max(initial=0.0)))


class OutputTally:
    """Collects the outputs of run after run; those of the two belong together by their place."""

    def __init__(self, a: Sequence[End], b: Sequence[End]) -> None:
        self._outputs = [_Output(one, two, Sums()) for one, two in zip(a, b, strict=True)]

    def add(self, a: Sequence[Raw], b: Sequence[Raw]) -> None:
        """One run of each, the outputs in the files' order."""
        for output, one, two in zip(self._outputs, a, b, strict=True):
            output.add(one, two)

    def add_named(self, a: Mapping[str, Raw], b: Mapping[str, Raw]) -> None:
        """One run of each, the outputs by name."""
        for output in self._outputs:
            if output.a.name in a and output.b.name in b:
                output.add(a[output.a.name], b[output.b.name])

    def result(self) -> list[OutputParity]:
        """In the files' order."""
        return [
            OutputParity(one.a.name, one.values, one.differing, one.same_steps, one.largest, one.sums.db) for one in self._outputs
        ]
