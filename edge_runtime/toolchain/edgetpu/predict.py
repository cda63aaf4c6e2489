"""What `edgetpu_compiler` will make of a model, predicted from the .tflite file alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_runtime.tflite_file import CUSTOM_OP
from edge_runtime.toolchain.edgetpu import advice, memory, statuses, versions
from edge_runtime.toolchain.edgetpu.partition import waves
from edge_runtime.toolchain.edgetpu.rules import Refusal, is_complete, refusal
from edge_runtime.toolchain.tflite import Model, Op

_SHAPE_INPUTS = {
    "RESHAPE": 1, "RESIZE_BILINEAR": 1, "RESIZE_NEAREST_NEIGHBOR": 1, "TRANSPOSE_CONV": 0, "PAD": 1, "PADV2": 1,
    "MIRROR_PAD": 1, "STRIDED_SLICE": 1, "SLICE": 1, "TILE": 1, "FILL": 0, "BROADCAST_TO": 1, "EXPAND_DIMS": 1, "MEAN": 1,
    "SUM": 1, "REDUCE_MAX": 1, "REDUCE_MIN": 1, "TRANSPOSE": 1,
}
"""The input that says how large an operator's output is: where it is computed, TFLite makes the output a dynamic tensor."""
_ALWAYS_DYNAMIC = {"WHERE", "UNIQUE", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "RANGE"}


@dataclass(frozen=True, slots=True)
class OpPrediction:
    """One operator. `reason`: the compiler's status; `advice`: what to change, nothing for what is mapped."""

    index: int
    name: str
    version: int
    mapped: bool
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One model. `fatal`: why the compiler gives up on all of it, and then nothing is mapped.

    `parameter_bytes`: what the compiled model keeps in the chip's memory; `streamed_bytes`: what doesn't fit there and is
    sent for every run; `available_bytes`: what that memory has for parameters. `advice`: on the model as a whole.
    """

    ops: tuple[OpPrediction, ...]
    fatal: str
    parameter_bytes: int
    streamed_bytes: int
    available_bytes: int
    runtime_version: int
    advice: tuple[str, ...]

    @property
    def ops_total(self) -> int:
        """Operators in the file."""
        return len(self.ops)

    @property
    def ops_mapped(self) -> int:
        """Operators that go to the Edge TPU."""
        return sum(op.mapped for op in self.ops)


def predict(model: Model, *, many_subgraphs: bool = False) -> Prediction:
    """Predicts the compiler's report. `many_subgraphs`: with its option --enable_multiple_subgraphs (-a)."""
    if (fatal := _fatal(model)) is not None:
        return _nothing(model, fatal)
    refusals = [refusal(model, op) for op in model.ops]
    order = waves(model, [found is None for found in refusals])
    first = min((wave for wave, found in zip(order, refusals, strict=True) if found is None and wave >= 0), default=0)
    ops = tuple(
        _predicted(op, found, is_behind=wave < 0 or (wave != first and not many_subgraphs))
        for op, found, wave in zip(model.ops, refusals, order, strict=True)
    )
    mapped = [op for op, found in zip(model.ops, ops, strict=True) if found.mapped]
    found = memory.lay_out(model, mapped)
    return Prediction(
        ops, "", found.cached, found.streamed, found.available,
        max((versions.runtime(op.name) for op in mapped), default=versions.FIRST_RUNTIME), _about_all(model, found),
    )


@dataclass(frozen=True, slots=True)
class Together:
    """Models that share one Edge TPU, compiled together: whether the parameters of all of them stay on the chip.

    `refused`: how many of them the compiler gives up on; it then compiles none.
    """

    needed_bytes: int
    available_bytes: int
    refused: int

    @property
    def fits(self) -> bool:
        """Whether nothing is streamed and nothing is loaded again when another model's turn comes."""
        return not self.refused and self.needed_bytes <= self.available_bytes


def together(predictions: Sequence[Prediction]) -> Together:
    """One or more models compiled with one call of the compiler. The memory left is that beside the largest activations."""
    return Together(
        sum(one.parameter_bytes + one.streamed_bytes for one in predictions),
        min(one.available_bytes for one in predictions), sum(bool(one.fatal) for one in predictions),
    )


def _predicted(op: Op, found: Refusal | None, *, is_behind: bool) -> OpPrediction:
    if found is not None:
        return OpPrediction(op.index, op.name, op.version, False, found.reason, found.advice)
    if is_behind:
        return OpPrediction(op.index, op.name, op.version, False, statuses.BEHIND, advice.BEHIND)
    return OpPrediction(op.index, op.name, op.version, True, statuses.MAPPED, "")


def _nothing(model: Model, fatal: Refusal) -> Prediction:
    ops = tuple(OpPrediction(op.index, op.name, op.version, False, fatal.reason, fatal.advice) for op in model.ops)
    return Prediction(ops, fatal.reason, 0, 0, memory.TYPICAL_BYTES, versions.FIRST_RUNTIME, (fatal.advice,))


def _fatal(model: Model) -> Refusal | None:
    """What makes the compiler give up, in the order in which it looks."""
    if any(op.name == CUSTOM_OP for op in model.ops):
        return Refusal(statuses.COMPILED, advice.COMPILED)
    new = next((op for op in model.ops if not op.is_custom and not versions.is_readable(op.name, op.version)), None)
    if new is not None:
        return Refusal(statuses.NOT_PARSED.format(name=new.name, version=new.version), versions.mending(new.name, new.version))
    if not model.ops:
        return Refusal(statuses.NO_OPERATORS, advice.NO_OPERATORS)
    return _fatal_graph(model)


def _fatal_graph(model: Model) -> Refusal | None:
    if any(not is_complete(op) for op in model.ops):
        return Refusal(statuses.BROKEN, advice.BROKEN)
    if model.subgraphs > 1:
        return Refusal(statuses.SUBGRAPHS.format(count=model.subgraphs), advice.SUBGRAPHS)
    if any(_is_dynamic(model, op) for op in model.ops):
        return Refusal(statuses.DYNAMIC, advice.DYNAMIC)
    if not any(_is_quantised(model, op) for op in model.ops):
        return Refusal(statuses.NOT_QUANTIZED, advice.NOT_QUANTIZED)
    return None


def _is_dynamic(model: Model, op: Op) -> bool:
    """Whether TFLite only learns the output's shape when it runs. A batch size of -1 in the file alone isn't that."""
    outputs = [model.tensors[index] for index in op.outputs if index >= 0]
    if op.name in _ALWAYS_DYNAMIC or any(size < 0 for tensor in outputs for size in tensor.shape):
        return True
    number = _SHAPE_INPUTS.get(op.name)
    if number is None or number >= len(op.inputs) or op.inputs[number] < 0:
        return False
    return not model.tensors[op.inputs[number]].constant_bytes


def _is_quantised(model: Model, op: Op) -> bool:
    """Whether an operator other than a conversion works on quantised data; weights alone don't count."""
    if op.name in {"QUANTIZE", "DEQUANTIZE"}:
        return False
    tensors = [model.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    return any(tensor.scales and tensor.dtype in {"int8", "uint8", "int16"} for tensor in tensors if not tensor.constant_bytes)


def _about_all(model: Model, needs: memory.Memory) -> tuple[str, ...]:
    found = []
    if any(model.tensors[index].shape_signature[:1] == (-1,) for index in model.inputs if index >= 0):
        found.append(advice.PLACEHOLDER)
    if needs.streamed:
        found.append(advice.TOO_LARGE.format(mebibytes=(needs.cached + needs.streamed) / 2**20))
    return tuple(found)
