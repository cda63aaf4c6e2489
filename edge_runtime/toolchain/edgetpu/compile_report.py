"""What came of a compilation: the compiled file's own figures, the compiler's log, and where both part from the prediction."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge_runtime.models import sha256_of
from edge_runtime.toolchain.edgetpu.compiled import Compiled, read_compiled
from edge_runtime.toolchain.edgetpu.compiler_log import CompilerLog, ModelLog, parse_log
from edge_runtime.toolchain.edgetpu.predict import predict
from edge_runtime.toolchain.tflite import Model, Tensor, read_model

_CUSTOM = "CUSTOM"
"""What the compiler's table calls every custom operator."""


class Disagreement(msgspec.Struct, frozen=True):
    """A kind of operator of which `hedgerow model check` maps more or fewer than the compiler did. `check_says` and
    `compiler_says`: why some stay on the CPU, where one of them says so.
    """

    op: str
    predicted: int
    mapped: int
    total: int
    check_says: str = ""
    compiler_says: str = ""


class CompileReport(msgspec.Struct, frozen=True):
    """A compiled model. Sizes are exact, in bytes, and from the file; those in `log` are rounded by the compiler.

    `options`: the words of the compiler's command line; empty where the file was made elsewhere. `tokens`: in hexadecimal;
    models with the same were co-compiled, `co_compiled_with` them. `doubts`: what doesn't fit together.
    """

    source: str
    source_sha256: str
    compiled_sha256: str
    compiler: str
    options: list[str]
    co_compiled_with: list[str]
    chip: str
    runtime_version: int
    cached_bytes: int
    streamed_bytes: int
    instruction_bytes: int
    tokens: list[str]
    ops_total: int
    ops_on_cpu: dict[str, int]
    milliseconds: int | None
    log: ModelLog
    disagreements: list[Disagreement]
    doubts: list[str]
    format: int = 1


def positions(source: Model, compiled: Compiled) -> tuple[int, ...]:
    """For each output of `source` where it stands among those of `compiled`. Raises ValueError where the inputs or outputs
    of both differ in dtype, shape, scale or zero point: then one wasn't made from the other.
    """
    inputs = [source.tensors[index] for index in source.inputs]
    outputs = [source.tensors[index] for index in source.outputs]
    _places(source.name, compiled.name, "input", inputs, compiled.inputs)
    return _places(source.name, compiled.name, "output", outputs, compiled.outputs)


def make_report(source: Path, compiled: Path, log_text: str, *, source_name: str = "", options: Sequence[str] = (),
                beside: Sequence[str] = (), many_subgraphs: bool = False) -> CompileReport:
    """Reads what was compiled from `source`, and compares it with the log and the prediction. Raises ValueError where the
    compiled file is none, or not of this source, or the log is of others.
    """
    model, made, log = read_model(source), read_compiled(compiled), parse_log(log_text)
    positions(model, made)
    of_model = _part(log, compiled.name)
    prediction = predict(model, many_subgraphs=many_subgraphs or len(made.packages) > 1)
    left = Counter(made.ops_on_cpu)
    doubts = list(_doubts(made, log, of_model))
    if prediction.fatal:
        doubts.append(f"`hedgerow model check` says that it can't be compiled: {prediction.fatal}")
    return CompileReport(
        source=source_name or source.name, source_sha256=sha256_of(source), compiled_sha256=sha256_of(compiled),
        compiler=log.version or made.compiler, options=list(options), co_compiled_with=list(beside) or [other.input for other in log.models if other is not of_model],
        chip=made.chip, runtime_version=made.runtime_version, cached_bytes=made.cached_bytes,
        streamed_bytes=made.streamed_bytes, instruction_bytes=made.instruction_bytes,
        tokens=[f"{token:016x}" for token in made.tokens],
        ops_total=len(model.ops), ops_on_cpu=dict(left), milliseconds=log.milliseconds, log=of_model,
        disagreements=disagreements(model, {op.index: op.reason for op in prediction.ops if not op.mapped}, left, of_model),
        doubts=doubts,
    )


def disagreements(model: Model, predicted_on_cpu: dict[int, str], left: Counter[str], log: ModelLog) -> list[Disagreement]:
    """Per kind of operator. `predicted_on_cpu`: reasons by the index of the operator; `left`: what the compiled file kept.
    The file is believed, the log only says why.
    """
    kind = {op.index: _CUSTOM if op.is_custom else op.name for op in model.ops}
    custom = {op.name for op in model.ops if op.is_custom}
    total = Counter(kind.values())
    predicted = total - Counter(kind[index] for index in predicted_on_cpu)
    kept: Counter[str] = Counter()
    for name, count in left.items():
        kept[_CUSTOM if name in custom else name] += count
    found = []
    for op in sorted(total | kept):
        mapped = max(total[op] - kept[op], 0)
        if predicted[op] == mapped:
            continue
        reasons = dict.fromkeys(reason for index, reason in predicted_on_cpu.items() if kind[index] == op)
        statuses = dict.fromkeys(line.status for line in log.ops if line.op == op and not line.mapped)
        found.append(Disagreement(op, predicted[op], mapped, total[op], "; ".join(reasons), "; ".join(statuses)))
    return found


def _part(log: CompilerLog, compiled_name: str) -> ModelLog:
    if log.error:
        raise ValueError(f"the log is of a run that failed: {log.error}")
    part = log.of(compiled_name)
    if part is None and log.models:
        told = ", ".join(model.output or model.input for model in log.models)
        raise ValueError(f"the log tells of {told}, and not of {compiled_name}")
    if part is None:
        raise ValueError("the log is none of edgetpu_compiler: it names no model and no operator")
    return part


def _doubts(made: Compiled, log: CompilerLog, part: ModelLog) -> list[str]:
    found = []
    if part.ops_on_cpu is not None and part.ops_on_cpu != len(made.ops_on_cpu):
        found.append(
            f"the log leaves {part.ops_on_cpu} operators on the CPU, the file {len(made.ops_on_cpu)}: "
            f"perhaps the log isn't of this file"
        )
    if part.subgraphs is not None and part.subgraphs != len(made.packages):
        found.append(f"the log counts {part.subgraphs} subgraphs on the TPU, the file holds {len(made.packages)}")
    if not log.version:
        found.append("the log doesn't say the compiler's version")
    return found


def _places(source: str, compiled: str, what: str, wanted: Sequence[Tensor], found: Sequence[Tensor]) -> tuple[int, ...]:
    """By name first: several outputs may be alike but for it. Names that changed are found by their form."""
    taken: list[int] = []
    for tensor in wanted:
        alike = [place for place, other in enumerate(found) if _form(other) == _form(tensor) and place not in taken]
        named = [place for place in alike if found[place].name == tensor.name]
        if not alike:
            raise ValueError(
                f"{compiled} wasn't compiled from {source}: it has no {what} that is {_words(tensor)}, as {tensor.name!r} is"
            )
        if not named and len(alike) > 1:
            raise ValueError(f"{compiled}: several of its {what}s could be {tensor.name!r} of {source}")
        taken.append((named or alike)[0])
    if len(found) != len(wanted):
        raise ValueError(f"{compiled} wasn't compiled from {source}: it has {len(found)} {what}s, not {len(wanted)}")
    return tuple(taken)


def _form(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.scales, tensor.zero_points


def _words(tensor: Tensor) -> str:
    scale = f" with scale {tensor.scales[0]:.7g} and zero point {tensor.zero_points[0]}" if tensor.scales and tensor.zero_points else ""
    return f"{tensor.dtype} {list(tensor.shape)}{scale}"
