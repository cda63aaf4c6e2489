"""Which operator of one graph is which of the other.

The converter keeps the order of operators and most names of tensors, but puts QUANTIZE and DEQUANTIZE where types change, and fuses
activations differently. So QUANTIZE and DEQUANTIZE are looked through, and operators are matched

1. by the name of what they compute, where it is of the same shape,
2. by what they are made of (type, activation, shapes) and by their inputs, where those are matched,
3. by what they are made of and their order between those that are matched.

A match whose inputs are known to be others is dropped. An operator that only one graph has may stand between: a PAD that the
other has in its convolution.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from edge_runtime.toolchain.tflite import Model, Op

NAME, INPUTS, ORDER = "name", "inputs", "order"
_TRANSPARENT = frozenset({"QUANTIZE", "DEQUANTIZE"})
_ACTIVATIONS = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3, "TANH": 4}
"""Operators to the number of the activation that is the same when it is fused: the schema's ActivationFunctionType."""
_REAL = frozenset({"float32", "float16", "int8", "uint8", "int16"})

_Made = tuple[str, int, tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Pair:
    """An operator in both graphs, by its number in each, and how it was found."""

    reference: int
    other: int
    how: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """`tensors`: those of the reference to the other's that hold the same, as far as they are known."""

    pairs: tuple[Pair, ...]
    tensors: dict[int, int]
    unmatched_reference: tuple[int, ...]
    unmatched_other: tuple[int, ...]


class Graph:
    """A model as what its operators compute, QUANTIZE and DEQUANTIZE looked through."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._producers = {tensor: op for op in model.ops for tensor in op.outputs}
        self.ops = {op.index: op for op in model.ops if self._is_compared(op)}
        self.made = {index: self._made(op) for index, op in self.ops.items()}

    def source(self, tensor: int) -> int:
        """The tensor that holds the same before any change of type."""
        producer = self._producers.get(tensor)
        seen: set[int] = set()
        while producer is not None and producer.name in _TRANSPARENT and tensor not in seen:
            seen.add(tensor)
            tensor = producer.inputs[0]
            producer = self._producers.get(tensor)
        return tensor

    def reads(self, op: Op) -> tuple[int, ...]:
        """What an operator reads that is computed, or fed to the model: the sources."""
        sources = (self.source(tensor) for tensor in op.inputs if tensor >= 0)
        return tuple(source for source in sources if not self.model.tensors[source].constant_bytes)

    def inputs(self, index: int) -> tuple[int, ...]:
        """The same, where an activation of its own counts as fused: then what the operator before it reads."""
        return self.reads(self._base(self.ops[index]))

    def constants(self, index: int) -> tuple[int, ...]:
        """Its weights and other constants, as they stand in the file."""
        sources = (self.source(tensor) for tensor in self.ops[index].inputs if tensor >= 0)
        return tuple(source for source in sources if self.model.tensors[source].constant_bytes)

    def names(self) -> dict[str, int]:
        """What is computed, by name, also by the names that it has after a change of type. Names that mean several are left out."""
        found: dict[str, int] = {}
        twice: set[str] = set()
        for op in self.model.ops:
            for tensor in op.outputs:
                name, source = self.model.tensors[tensor].name, self.source(tensor)
                if found.setdefault(name, source) != source:
                    twice.add(name)
        return {name: tensor for name, tensor in found.items() if name and name not in twice}

    def only_for(self, output: str) -> frozenset[int]:
        """The operators whose values go to that output of the signature and to no other; none where no output has the name."""
        outputs = {name: tensor for signature in self.model.signatures for name, tensor in signature.outputs.items()}
        if output not in outputs:
            return frozenset()
        others = [tensor for tensor in self.model.outputs if self.source(tensor) != self.source(outputs[output])]
        return frozenset(self.ops) - self._behind(others)

    def _behind(self, tensors: Iterable[int]) -> frozenset[int]:
        """The operators that these are computed by, all the way to the input."""
        found: set[int] = set()
        waiting = [self._producers.get(self.source(tensor)) for tensor in tensors]
        while waiting:
            op = waiting.pop()
            if op is not None and op.index not in found:
                found.add(op.index)
                waiting.extend(self._producers.get(self.source(tensor)) for tensor in op.inputs if tensor >= 0)
        return frozenset(found)

    def producer(self, tensor: int) -> Op | None:
        """The operator that computes it, if it is one that is compared."""
        op = self._producers.get(tensor)
        return op if op is not None and op.index in self.ops else None

    def _is_compared(self, op: Op) -> bool:
        return op.name not in _TRANSPARENT and bool(op.outputs) and self.model.tensors[op.outputs[0]].dtype in _REAL

    def _base(self, op: Op) -> Op:
        """The operator before an activation that could have been fused into it, else itself."""
        before = self._producers.get(self.source(op.inputs[0])) if op.name in _ACTIVATIONS else None
        return before if before is not None and getattr(before.options, "fusedActivationFunction", None) == 0 else op

    def _made(self, op: Op) -> _Made:
        base = self._base(op)
        fused = int(getattr(op.options, "fusedActivationFunction", 0) or 0) if base is op else _ACTIVATIONS[op.name]
        constants = [self.model.tensors[self.source(tensor)] for tensor in base.inputs if tensor >= 0]
        weights = max((one for one in constants if one.constant_bytes), key=lambda one: one.constant_bytes, default=None)
        return base.name, fused, self.model.tensors[op.outputs[0]].shape, weights.shape if weights else ()


@dataclass(slots=True)
class _Matching:
    reference: Graph
    other: Graph
    tensors: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    how: dict[int, str] = field(default_factory=dict)
    """`taken`: operators of the reference to the other's; `how`: each of them was found."""

    def put(self, a: Op, b: Op, how: str) -> None:
        self.taken[a.index], self.how[a.index] = b.index, how
        self.tensors.update(zip(a.outputs, b.outputs, strict=False))

    def free(self) -> tuple[list[int], list[int]]:
        used = set(self.taken.values())
        return [i for i in self.reference.ops if i not in self.taken], [i for i in self.other.ops if i not in used]

    def by_name(self) -> None:
        names = self.other.names()
        for name, tensor in self.reference.names().items():
            a, b = self.reference.producer(tensor), self.other.producer(names.get(name, -1))
            if a is None or b is None or a.index in self.taken or b.index in self.taken.values():
                continue
            if self.reference.made[a.index][2] == self.other.made[b.index][2]:
                self.put(a, b, NAME)

    def by_inputs(self) -> None:
        free, candidates = self.free()
        for index in free:
            wanted = [self.tensors.get(tensor) for tensor in self.reference.inputs(index)]
            if None in wanted or not wanted:
                continue
            for other in candidates:
                same = self.reference.made[index] == self.other.made[other]
                if same and sorted(self.other.inputs(other)) == sorted(one for one in wanted if one is not None):
                    self.put(self.reference.ops[index], self.other.ops[other], INPUTS)
                    candidates.remove(other)
                    break

    def by_order(self) -> None:
        a, b = self.free()
        matcher = SequenceMatcher(
            None, [self.reference.made[index] for index in a], [self.other.made[index] for index in b], autojunk=False
        )
        for block in matcher.get_matching_blocks():
            for place in range(block.size):
                one, two = a[block.a + place], b[block.b + place]
                if not self.contradicts(one, two):
                    self.put(self.reference.ops[one], self.other.ops[two], ORDER)

    def contradicts(self, one: int, two: int) -> bool:
        """Whether the inputs of two operators are known to be others: one that is matched elsewhere, or all known and not the same."""
        inputs = set(self.other.inputs(two))
        wanted = {self.tensors[tensor] for tensor in self.reference.inputs(one) if tensor in self.tensors}
        matched = inputs & set(self.tensors.values())
        return bool(matched - wanted) or (matched == inputs and bool(wanted - inputs))

    def drop_contradictions(self) -> None:
        for one, two in sorted(self.taken.items()):
            if self.how[one] != NAME and self.contradicts(one, two):
                del self.taken[one], self.how[one]
                for tensor in self.reference.ops[one].outputs:
                    self.tensors.pop(tensor, None)

    def pairs(self) -> Iterator[Pair]:
        for one, two in sorted(self.taken.items()):
            yield Pair(one, two, self.how[one])


def align(reference: Graph, other: Graph) -> Alignment:
    """Matches two graphs of one network. Inputs of the models belong together by their place."""
    matching = _Matching(reference, other)
    matching.tensors.update(zip(reference.model.inputs, other.model.inputs, strict=False))
    matching.by_name()
    matching.by_inputs()
    matching.by_order()
    matching.by_inputs()
    matching.drop_contradictions()
    left_a, left_b = matching.free()
    return Alignment(tuple(matching.pairs()), matching.tensors, tuple(left_a), tuple(left_b))
