"""The difference of two graphs along their operators, and the place where they first part.

Each operator is measured twice: at its end, where what came before counts too, and by itself: the reference's operator is given
the other side's inputs, so that only what this operator does is left. Signal-to-quantisation-noise ratio (SQNR) in dB: ten
times the logarithm of the reference's energy by the difference's.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domains.core.gate import FAMILIARITY
from edge_runtime.toolchain.parity.align import Alignment, Graph, Pair, align
from edge_runtime.toolchain.parity.causes import Constant, Evidence
from edge_runtime.toolchain.parity.layers import LayerNames
from edge_runtime.toolchain.parity.place import first_parting
from edge_runtime.toolchain.parity.probe import Alone, Probe, Reals
from edge_runtime.toolchain.parity.report import OpParity, Tensors
from edge_runtime.toolchain.parity.sides import Opened
from edge_runtime.toolchain.tflite import Tensor

WEAKEST = 3
LEAST_MATCHED = 0.7
"""Where less of the reference's operators is matched, the two aren't variants of one network."""


@dataclass(slots=True)
class Sums:
    """Of one tensor over all inputs."""

    signal: float = 0.0
    error: float = 0.0

    def add(self, reference: Reals, other: Reals) -> None:
        """One input's."""
        self.signal += _energy(reference)
        self.error += _energy(reference - other)

    @property
    def db(self) -> float | None:
        """None where there is no difference; 0 where the reference is all zero and the other isn't."""
        if self.error == 0:
            return None
        return 10 * math.log10(self.signal / self.error) if self.signal else 0.0


@dataclass(slots=True)
class Own:
    """What an operator does by itself, over all inputs."""

    sums: Sums = field(default_factory=Sums)
    count: int = 0
    beyond: int = 0
    beyond_error: float = 0.0
    least: float = math.inf
    greatest: float = -math.inf
    channels: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))

    def add(self, reference: Reals, other: Reals, reach: tuple[float, float], step: float) -> None:
        """One input's. `reach`: what the other's type and scale can hold."""
        self.sums.add(reference, other)
        self.count += reference.size
        self.least, self.greatest = min(self.least, float(reference.min())), max(self.greatest, float(reference.max()))
        cut = reference[(reference < reach[0] - step / 2) | (reference > reach[1] + step / 2)]
        self.beyond += cut.size
        self.beyond_error += _energy(cut - np.clip(cut, *reach))
        farthest = np.abs(reference).reshape(-1, reference.shape[-1] if reference.ndim else 1).max(0)
        self.channels = np.maximum(self.channels, farthest)


class Comparison:
    """Two files on the CPU. Raises ValueError where they can't be run, or their graphs aren't of one network."""

    def __init__(self, reference: Opened, other: Opened) -> None:
        self.sides = reference, other
        self.graphs = Graph(reference.side.model), Graph(other.side.model)
        self.aligned: Alignment = align(*self.graphs)
        compared = len(self.graphs[0].ops)
        if not compared or len(self.aligned.pairs) < LEAST_MATCHED * compared:
            raise ValueError(
                f"the graphs are of different make ({len(self.aligned.pairs)} of {compared} operators are in both): only what comes out "
                "can be compared"
            )
        self._probes = Probe(reference.side.path), Probe(other.side.path)
        try:
            self._alone: Alone | None = Alone(reference.side.path)
        except ValueError:
            self._alone = None
        self._ends = {tensor: Sums() for tensor in self.aligned.tensors}
        self._owns = [Own() for _ in self.aligned.pairs]
        self._largest = [0.0] * len(self.aligned.pairs)
        gate = self.graphs[0].only_for(FAMILIARITY)
        # Whitened: it is large where the features hardly vary, which int8 tells least. The gate's threshold allows for it.
        self._judged = [place for place, pair in enumerate(self.aligned.pairs) if pair.reference not in gate]
        self.inputs = 0

    def add(self, sample: NDArray[np.generic]) -> None:
        """One input through both, as pixels or real values."""
        for probe, side in zip(self._probes, self.sides, strict=True):
            probe.run(side.encode(sample))
        self.inputs += 1
        if self._alone is not None:
            self._alone.run({tensor: self._given(tensor) for tensor in self._alone.reads})
        reference, other = self._probes
        for tensor in self.graphs[0].model.inputs:
            self._ends[tensor].add(reference.real(tensor), other.real(self.aligned.tensors[tensor]))
        for place, pair in enumerate(self.aligned.pairs):
            self._measure(place, pair)

    def result(self, reference_name: str) -> Tensors:
        """The table and the place, after one input at least. `reference_name`: a or b."""
        names = LayerNames(self.graphs[0].model.tensors[op.outputs[0]].name for op in self.graphs[0].ops.values())
        ops = [self._row(place, pair, names, swapped=reference_name == "b") for place, pair in enumerate(self.aligned.pairs)]
        weakest = sorted((i for i, op in enumerate(ops) if op.own_db is not None), key=lambda i: ops[i].own_db or 0.0)[:WEAKEST]
        unmatched = (
            _listed(self.graphs[0], self.aligned.unmatched_reference), _listed(self.graphs[1], self.aligned.unmatched_other)
        )
        a, b = unmatched if reference_name == "a" else unmatched[::-1]
        return Tensors(self.inputs, reference_name, ops, a, b, first_parting(ops, weakest, self._evidence, self._judged), weakest)

    def _given(self, tensor: int) -> NDArray[np.generic]:
        """What an operator of the reference is fed: the other's values, or its own where they aren't known."""
        reference, other = self._probes
        source = self.graphs[0].source(tensor)
        if source not in self.aligned.tensors:
            return reference.raw(tensor) if not reference.step(tensor) else reference.real(tensor)
        return other.real(self.aligned.tensors[source])

    def _measure(self, place: int, pair: Pair) -> None:
        reference, other = self._probes
        one, two = self._tensors(pair)
        here, there = reference.real(one), other.real(two)
        self._ends[one].add(here, there)
        step = other.step(two) or reference.step(one)
        if step and here.size:
            self._largest[place] = max(self._largest[place], float(np.abs(here - there).max()) / step)
        fed = all(tensor in self.aligned.tensors for tensor in self.graphs[0].reads(self.graphs[0].ops[pair.reference]))
        if self._alone is not None and fed and here.size:
            self._owns[place].add(self._alone.real(one), there, other.reach(two), other.step(two))

    def _row(self, place: int, pair: Pair, names: LayerNames, *, swapped: bool) -> OpParity:
        one, two = self._tensors(pair)
        op, tensor, own = self.graphs[0].ops[pair.reference], self.graphs[0].model.tensors[one], self._owns[place]
        read = [self._ends[source].db for source in self.graphs[0].inputs(pair.reference) if source in self._ends]
        step = self._probes[1].step(two)
        has_step = bool(step or self._probes[0].step(one))
        numbers = (pair.other, pair.reference) if swapped else (pair.reference, pair.other)
        return OpParity(
            *numbers, op.name, names.of(tensor.name), tensor.name, list(tensor.shape), pair.how,
            min((db for db in read if db is not None), default=None), own.sums.db, self._ends[one].db,
            self._largest[place] if has_step else None, own.beyond / max(1, own.count), _noise(own, step), own.count > 0,
        )

    def _tensors(self, pair: Pair) -> tuple[int, int]:
        return self.graphs[0].ops[pair.reference].outputs[0], self.graphs[1].ops[pair.other].outputs[0]

    def _evidence(self, place: int) -> Evidence:
        pair, own = self.aligned.pairs[place], self._owns[place]
        _, two = self._tensors(pair)
        other = self._probes[1]
        median = float(np.median(own.channels))
        return Evidence(
            op=self.graphs[0].ops[pair.reference].name, other=self.sides[1].side.path.name, noise=_noise(own, other.step(two)),
            saturated=own.beyond / max(1, own.count), saturated_of_error=own.beyond_error / own.sums.error if own.sums.error else 0.0,
            reach=other.reach(two), values=(own.least, own.greatest), rms=math.sqrt(own.sums.signal / max(1, own.count)),
            channels=float(own.channels.max()) / median if median else 1.0,
            scales=tuple(other.step(tensor) for tensor in self.graphs[1].inputs(pair.other)), constants=tuple(self._constants(pair)),
        )

    def _constants(self, pair: Pair) -> Iterable[Constant]:
        """Weights and bias of an operator, where they have the same shapes on both sides."""
        first, second = _weights(self.graphs[0], pair.reference), _weights(self.graphs[1], pair.other)
        for name, one, two in zip(("weights", "bias"), first, second, strict=False):
            a, b = self._probes[0].real(one.index), self._probes[1].real(two.index)
            if a.shape != b.shape or not a.ndim:
                continue
            sums = Sums()
            sums.add(a, b)
            axis = two.quantised_axis if len(two.scales) > 1 else a.ndim - 1 if a.ndim == 4 and a.shape[0] == 1 else 0
            farthest = np.abs(np.moveaxis(a, axis, 0)).reshape(a.shape[axis], -1).max(1)
            median = float(np.median(farthest))
            spread, zeros = float(farthest.max()) / median if median else 1.0, np.count_nonzero(b == 0) / b.size
            yield Constant(name, sums.db, len(two.scales) == 1, spread, zeros)


def _noise(own: Own, step: float) -> float | None:
    """By what a rounding to steps of that width makes: a variance of step² / 12."""
    return own.sums.error / (own.count * step**2 / 12) if step and own.count else None


def _weights(graph: Graph, index: int) -> list[Tensor]:
    """The constants of an operator that stand for real numbers: no axes, sizes or paddings."""
    constants = (graph.model.tensors[tensor] for tensor in graph.constants(index))
    return [tensor for tensor in constants if tensor.scales or tensor.dtype in {"float32", "float16"}]


def _listed(graph: Graph, indices: Iterable[int]) -> list[str]:
    return [f"{graph.ops[index].name} {index}" for index in indices]


def _energy(values: Reals) -> float:
    return float(np.square(values, dtype=np.float64).sum())
